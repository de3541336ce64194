"""Values that a published config should not have, for every parameter of its classes."""

import hashlib
import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.registry import Registry
from safetensors.torch import load, save

from mofm.apis.inferencer import MotionInferencer
from mofm.registry import DATASETS, FUNCTIONS, METRICS, MODELS, TRANSFORMS
from tests.limited import Outcome, run_limited

KINDS = ('action', 'one_shot', 'jigsaw', 'anomaly', 'dved', 'kmeans', 'pretrain', 'keypoints',
         'attention', 'lift', 'dstformer', 'unik', 'localize', 'sdtcn')
VALUES = (0, -1, 2, 1000, 4096, 10**6, 10**9, 2**63, 10**4000, 1e-9, 1.5, 1e6, 1e308, float('nan'),
          True, None, 'x', '', [], [0], [10**6] * 3, [1e-9, 1e6], [1] * 5000, {})
_REGISTRIES = (MODELS, TRANSFORMS, DATASETS, METRICS, FUNCTIONS)


def attacks(config: dict) -> Iterator[tuple[tuple, object]]:
    """Yield place and value: each value in place of each setting and each default."""
    for place in _places(config, ()):
        yield from ((place, value) for value in VALUES)


def class_attacks(config: dict) -> Iterator[tuple[tuple, object]]:
    """Yield place and value: each registered class, with each value of each parameter."""
    pipeline = config['test_dataloader']['dataset']['pipeline']
    for name in sorted(MODELS.module_dict):
        for parameter in _parameters(name, MODELS):
            for value in VALUES:
                item = {'type': name, parameter: value}
                for part in ((), ('data_preprocessor', ), ('backbone', ), ('cls_head', )):
                    yield ('model', *part), item
    for name in sorted(TRANSFORMS.module_dict):
        for parameter in _parameters(name, TRANSFORMS):
            for value in VALUES:
                yield ('test_dataloader', 'dataset', 'pipeline'), [
                    {'type': name, parameter: value}, *pipeline]


def _parameters(name: str, registry: Registry) -> list[str]:
    """Return the names of the parameters of a registered class."""
    kind = registry.module_dict.get(name)
    return [] if kind is None else [
        name for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)]


def _places(value: object, path: tuple) -> Iterator[tuple]:
    if isinstance(value, dict):
        names = dict.fromkeys(value)
        for registry in _REGISTRIES if isinstance(value.get('type'), str) else ():
            names.update(dict.fromkeys(_parameters(value['type'], registry)))
        for name in names:
            yield (*path, name)
            if name in value:
                yield from _places(value[name], (*path, name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield (*path, i)
            yield from _places(item, (*path, i))


def attack(source: Path, folder: Path, place: tuple, value: object) -> Path:
    """Copy a published folder with one other value, without digests of the description."""
    content = json.loads((source / 'config.json').read_text())
    weights, = source.glob('*.safetensors')
    blob = save(load(weights.read_bytes()))
    folder.mkdir()
    (folder / f'model-{hashlib.sha256(blob).hexdigest()[:8]}.safetensors').write_bytes(blob)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (folder / 'config.json').write_text(json.dumps(content))
    return folder


def recording() -> np.ndarray:
    """Two persons in 70 frames of COCO-17."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(2, 70, 1, 2)), 1) + rng.uniform(100, 300, (2, 1, 17, 2))
    return np.concatenate([walk, np.ones((2, 70, 17, 1))], -1).astype(np.float32)


def use(folder: Path) -> str:
    """Load a folder and run its tasks on a recording."""
    inferencer = MotionInferencer(folder, device='cpu', batch_size=4)
    for task in inferencer.tasks:
        if task != 'one_shot':
            inferencer(recording(), task, progress=False)
    return 'used'


def is_refusal(outcome: Outcome) -> bool:
    """Whether the outcome is a ValueError that names the file, and no lack of memory."""
    text = str(outcome.error)
    names = ('config.json', 'does not fit')
    return isinstance(outcome.error, ValueError) and len(text) < 2000 and any(
        name in text for name in names) and not any(
            word in text for word in ('MemoryError', 'OverflowError', 'allocate'))


def try_attack(source: Path, folder: Path, place: tuple, value: object) -> Outcome:
    """Use an attacked folder within limits."""
    try:
        return run_limited(use, attack(source, folder, place, value), memory=2**30, seconds=20)
    finally:
        shutil.rmtree(folder)
