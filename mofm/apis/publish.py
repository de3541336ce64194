"""Publishing of a checkpoint as a folder of weights, config, class names and model card."""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import BaseModel, BaseModule

from mofm.evaluation.measures import read_metrics as read_measures
from mofm.hub import zoo
from mofm.hub.card import ModelCard, describe_data, read_metrics, short_path
from mofm.hub.checkpoint import load_local
from mofm.hub.published import check_config, check_labels, describe_config, pack_weights
from mofm.models import MotionPretrainer, MotionTokenizer
from mofm.registry import MODELS
from mofm.utils.config import load_config, read_dump
from mofm.utils.config_files import config_name, find_config
from mofm.utils.files import named, remove_unfinished, temporary_folder
from mofm.utils.locks import hold_output
from mofm.version import __version__

from .inferencers import BaseInferencer, find_inferencers, published_keys
from .model import init_model

#: Parts of a checkpoint that only training needs.
TRAINING = ('optimizer', 'param_schedulers', 'message_hub', 'ema_state_dict')


class Published(NamedTuple):
    """Published model.

    Attributes:
        weights (Path): Weights file.
        dropped (list[str]): Dropped parts of the checkpoint, see :data:`TRAINING`.
        kept (list[str]): Tensors that float16 cannot hold, with ``half``.
        metrics (dict[str, float]): Results of the test.
        model (BaseModel): The model.
    """

    weights: Path
    dropped: list[str]
    kept: list[str]
    metrics: dict[str, float]
    model: BaseModel


def publish(config: str | Path, checkpoint: str | Path, out: str | Path, name: str | None = None,
            metrics: Sequence[str | Path] = (), license: str | None = None,
            cfg_options: dict | None = None, half: bool = False,
            data_license: str | None = None) -> Published:
    """Publish a checkpoint, see docs/models.md.

    Args:
        config (str or Path): Config of the training.
        checkpoint (str or Path): Checkpoint of ``tools/train.py``.
        out (str or Path): New folder.
        name (str, optional): Title of the model card, by default the name of the config.
        metrics (Sequence[str or Path]): Result files of ``tools/test.py``.
        license (str, optional): License of the weights.
        cfg_options (dict, optional): Settings of the config to override.
        half (bool): Write float16, except for tensors that it cannot hold. They load as float32.
            Defaults to False.
        data_license (str, optional): License of the training data.

    Raises:
        FileNotFoundError: If the config or checkpoint does not exist.
        ValueError: If they do not fit, a result file has no metric, the config is more than the
            description of a model, or the folder contains other weights.
    """
    out = Path(out)
    cfg = load_config(config, cfg_options)
    rows = [row for file in metrics for row in read_metrics(Path(file))]
    whole = {r.key for r in read_measures({row.name: row.value for row in rows}, {})}
    rows = [row for row in rows if row.name in whole]  # without those of parts, e.g. classes
    content = load_local(str(checkpoint), map_location='cpu')
    keys = published_keys()
    described = describe_config(cfg, keys)
    check_config(described, str(config), keys)
    # state_dict has the averaged weights of EMAHook
    model = init_model(Config(described), checkpoint, device='cpu')
    state = model.state_dict()
    if isinstance(model, MotionPretrainer):  # checkpoints lack the teacher
        teacher = MODELS.build(cfg.model.tokenizer)
        teacher.init_weights()
        state.update({f'tokenizer.{k}': v for k, v in teacher.state_dict().items()})
    task = _default_task(model)
    labels = (task and task.names_classes and model.dataset_meta.get('classes')) or ()
    check_labels(labels, checkpoint)
    kept = _halve(state) if half else []
    blob = pack_weights(state, described, labels)
    digest = hashlib.sha256(blob).hexdigest()
    weights = out / f'model-{digest[:8]}.safetensors'
    others = [path.name for path in out.glob('*.safetensors') if path.name != weights.name]
    if others:
        raise ValueError(f'--out: found {others} in {out}, expected a new folder')
    facts = {
        'model': ', '.join(type(m).__name__ for m in (model, *model.children())
                           if isinstance(m, BaseModule)),
        'input': _describe_input(model),
        'classes': labels and f'`labels.txt`, {len(labels)} names',
        'parameters': f'{sum(v.numel() for v in state.values()):,}',
        'weights': f'`{weights.name}`, {len(blob):,} bytes, SHA-256 `{digest}`'
                   + (', float16' if half else '')
                   + (', averaged over the training (EMA)' if 'ema_state_dict' in content else ''),
        **_describe_training(content.get('meta', {})),
        'MoFM': __version__,
        'license': license,
        'license of the data': data_license}
    shown = short_path(str(config)).strip('`')
    training, train = _training_command(model, shown)
    card = ModelCard(
        name or Path(config).stem, task.describe() if task else type(model).__name__, weights.name,
        facts, python=_example(task, cfg),
        test=_lines(f'python tools/test.py {shown} FOLDER/{weights.name}',
                    *_test_options(model, 'FOLDER', cfg_options)),
        training=training, train=train, license=license, metrics=rows,
        tags=[task.task.replace('_', '-')] if task else [],
        has_classes=bool(task and task.names_classes))
    files: dict[str, bytes | str] = {
        weights.name: blob, 'config.json': json.dumps(described, indent=2) + '\n',
        'README.md': str(card)}
    if labels:
        files['labels.txt'] = '\n'.join(labels) + '\n'
    _write(out, files)
    return Published(weights, [part for part in TRAINING if part in content], kept,
                     {row.name: round(row.value, 6) for row in rows}, model)


def publish_to_zoo(name: str, config: str | Path, checkpoint: str | Path, data: str,
                   data_license: str, test_config: str | Path | None = None,
                   **options) -> Published:
    """Publish a checkpoint in float16 as a model of the zoo, and add it to its index.

    Args:
        name (str): Name in the zoo, e.g. 'mofm-tiny-penn'.
        config (str or Path): See :func:`publish`.
        checkpoint (str or Path): See :func:`publish`.
        data (str): Training data, e.g. 'Penn Action'.
        data_license (str): License of the data.
        test_config (str or Path, optional): Config of the test; by default ``config``.
        **options: ``metrics``, ``license`` and ``cfg_options`` of :func:`publish`.

    Raises:
        ValueError: If the name is no plain file name; and see :func:`publish`.
    """
    if not re.fullmatch('[a-z0-9]+(-[a-z0-9]+)*', name):
        raise ValueError(f'name: found {name!r}, expected small letters and digits with hyphens')
    done = publish(config, checkpoint, zoo.FOLDER / name, name, half=True,
                   data_license=data_license, **options)
    content = done.weights.read_bytes()
    source, tested = (config_name(find_config(c)) for c in (config, test_config or config))
    task = _default_task(done.model)
    zoo.write_entry(name, zoo.ZooModel(
        task.task if task else type(done.model).__name__, data, data_license, done.metrics,
        ' '.join([f'mofm test {tested} {name}', *_test_options(
            done.model, name, options.get('cfg_options'))]), source,
        len(content), hashlib.sha256(content).hexdigest()))
    return done


def _halve(state: dict) -> list[str]:
    """Convert tensors to float16 in place, except for those that would lose more than rounding.

    Returns:
        list[str]: Names of the others: of too large values, or of small ones only.
    """
    kept = []
    for name, tensor in state.items():
        if tensor.dtype != torch.float32 or not tensor.numel():
            continue
        half = tensor.half()
        if (half.float() - tensor).abs().max() <= 2**-11 * tensor.abs().max():
            state[name] = half
        else:
            kept.append(name)
    return kept


def _write(out: Path, files: dict[str, bytes | str]):
    """Write a folder that can be read, or nothing."""
    with hold_output(out):
        remove_unfinished(out)
        with temporary_folder(out) as folder:
            for name, content in files.items():
                content = content if isinstance(content, bytes) else content.encode()
                with named(out / name, folder / name):
                    (folder / name).write_bytes(content)
            init_model(folder, device='cpu')  # check that the folder can be read
            out.mkdir(exist_ok=True)
            for name in files:
                os.replace(folder / name, out / name)


def _default_task(model: BaseModel) -> BaseInferencer | None:
    """Return the task that the model was trained for, None if unknown."""
    try:
        return next(iter(find_inferencers(model).values()), None)
    except ValueError:  # the config has no test
        return None


def _grid(model: BaseModel):
    """Return the geometry of the clips, None for models that read coordinates."""
    return getattr(getattr(model, 'backbone', model), 'grid', None)


def _describe_input(model: BaseModel) -> str:
    layout = model.cfg.test_dataloader.dataset.get('to_layout', 'coco17')
    grid = _grid(model)
    if grid is None:
        return f'coordinates of keypoints (`{layout}`)'
    return (f'keypoints (`{layout}`), {grid.num_frames} frames, canvas {grid.canvas}x'
            f'{grid.canvas}, cubes of {grid.patch}x{grid.patch}')


def _describe_training(meta: dict) -> dict:
    """Describe data, initialization and length of the training from the checkpoint."""
    cfg = read_dump(meta['cfg']) if 'cfg' in meta else {}
    data = start = None
    with suppress(AttributeError, KeyError, TypeError):  # settings of another structure
        data = describe_data(cfg['train_dataloader']['dataset'])
    with suppress(AttributeError, KeyError, TypeError):
        start = short_path(cfg['model']['backbone']['init_cfg']['checkpoint'])
    time, seed = meta.get('time', ''), meta.get('seed')
    return {
        'trained on': data,
        'started from': start,
        'training': {'epoch', 'iter'} <= meta.keys() and
                    f'epoch {meta["epoch"]}, iteration {meta["iter"]}, seed {seed}, saved '
                    f'{time[:4]}-{time[4:6]}-{time[6:8]}'}


def _example(task: BaseInferencer | None, cfg: Config) -> str:
    """Return Python that uses the model."""
    imports = [f'import {name}  # its classes{_package(name)}'
               for name in cfg.get('custom_imports', {}).get('imports', ())
               if not name.startswith('mofm')]
    part = '' if task is None or task.part == 'model' else f", part='{task.part}'"
    use = [] if task is None else ["inferencer = MotionInferencer('FOLDER')", task.example()]
    return '\n'.join([
        'from mofm.apis import MotionInferencer, from_pretrained', *imports, '', *use,
        f"model = from_pretrained('FOLDER'{part})  # an nn.Module"])


def _package(module: str) -> str:
    """Return the installed package of a module, with its version."""
    names = packages_distributions().get(module.partition('.')[0], ())
    return ''.join(f', of the package {name} {version(name)}' for name in names if name != 'mofm')


def _test_options(model: BaseModel, folder: str, cfg_options: dict | None) -> list[str]:
    """Return the options that a test of a published model needs."""
    options = [shlex.quote(f'{key}={value}'.replace(' ', ''))
               for key, value in (cfg_options or {}).items()]
    if isinstance(model, MotionPretrainer):
        options += [f'model.tokenizer.init_cfg.checkpoint={folder}',
                    'model.tokenizer.init_cfg.prefix=tokenizer.']
    return ['--cfg-options', *options] if options else []


def _training_command(model: BaseModel, config: str) -> tuple[str, str]:
    """Return a sentence about training the model, and the command."""
    grid = _grid(model)
    tiny = grid is not None and grid.canvas < 72
    if isinstance(model, MotionTokenizer):
        return 'As the teacher of a pre-training:', _lines(
            f'python tools/train.py configs/mofm/pretrain{"_tiny" * tiny}.py --cfg-options',
            'model.tokenizer.init_cfg.checkpoint=FOLDER')
    if next(getattr(model, 'backbone', BaseModule()).parameters(), None) is None:
        return 'Train it on other data:', _lines(
            f'python tools/train.py {config} --cfg-options',
            'train_dataloader.dataset.ann_file=FILE')
    if isinstance(model, MotionPretrainer):
        config = f'configs/dt1_{"penn_tiny" if tiny else "ntu60"}.py'
    return 'Fine-tune its backbone:', _lines(
        f'python tools/train.py {config} --cfg-options', 'model.backbone.init_cfg.type=Pretrained',
        'model.backbone.init_cfg.checkpoint=FOLDER', 'model.backbone.init_cfg.prefix=backbone.')


def _lines(*words: str) -> str:
    """Join a command with one word per line."""
    return ' \\\n    '.join(words)
