"""Published models: folders of weights and a description, neither of which can run code.

``tools/publish.py`` writes them, also for a Hugging Face repository::

    model-<sha8>.safetensors   weights and the SHA-256 of config and class names; the name has
                               the first 8 digits of that of the file
    config.json                model and inputs, see :func:`check_config`
    labels.txt                 one class name per line, if the model has classes
    README.md                  model card

MMEngine runs a config: it may import modules, inherit from other files, and a ``type`` with a dot
imports whatever it names. A ``config.json`` is never read that way: it is plain data, and each
``type`` in it is a name registered in MoFM.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import Registry

from mofm.registry import DATASETS, FUNCTIONS, METRICS, MODELS, TRANSFORMS, is_registered
from mofm.utils.checks import found_expected, show
from mofm.utils.config_files import packaged_configs
from mofm.utils.untrusted import unique

from .zoo import find_model, read_index, suggest

#: Files to download from the hub.
FILES = ('config.json', 'labels.txt', 'model-*.safetensors')
#: Settings of a test data set that every inference needs.
_DATASET_KEYS = ('type', 'pipeline', 'layout', 'to_layout')

_HUB_ID = re.compile(r'\w[\w.-]{0,95}/\w[\w.-]{0,95}', re.ASCII)
_FILE_SUFFIXES = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors', '.py', '.json', '.yaml', '.yml')
_WEIGHTS = re.compile(r'model-([0-9a-f]{8})\.safetensors')
_MAX_BYTES = 2**20  # of config.json and labels.txt, which have a few kB
_MAX_DEPTH = 20
_MAX_VALUES = 10_000  # of config.json; a large pipeline has 100
_MAX_NUMBER = 10**6
_MAX_HEADER = 2**24  # bytes of the names of the weights, 100 per tensor
_DTYPES = ('BF16', 'BOOL', 'F16', 'F32', 'F64', 'I16', 'I32', 'I64', 'I8', 'U8')
_KEY = re.compile(r'[a-z][a-z0-9_]*')
_TEXT = re.compile(r'[\w-]{0,64}', re.ASCII)
# settings of registered classes that name files
_FORBIDDEN = re.compile(
    '(.*_)?(checkpoint|dir|file|init_cfg|params|path|regressor|root|tables?|url)')


class PublishedKeys(NamedTuple):
    """Settings of a task besides the type, pipeline and joint layout of its test.

    Attributes:
        dataset (tuple[str]): Of the test data set.
        metric (tuple[str]): Of metrics; a ``type`` in them is a function of MoFM.
    """

    dataset: tuple[str, ...] = ()
    metric: tuple[str, ...] = ()


def is_hub_id(source: str | Path) -> bool:
    """Return whether ``source`` looks like ``user/model`` and not like a file."""
    source = str(source)
    return bool(_HUB_ID.fullmatch(source)) and not source.endswith(_FILE_SUFFIXES)


def is_published(source: str | Path) -> bool:
    """Return whether ``source`` looks like a published model and not like a config.

    Args:
        source (str or Path): See :func:`find_published`. Names of configs come before IDs of the
            hub.
    """
    path = Path(source).expanduser()
    return find_model(source) is not None or path.is_dir() or path.name == 'config.json' or (
        not path.exists() and is_hub_id(source) and str(source) not in packaged_configs())


def find_published(source: str | Path, revision: str | None = None) -> Path:
    """Find the folder of a published model; download it if it is neither local nor cached.

    Args:
        source (str or Path): Name in the zoo of the package, local folder or its ``config.json``,
            or ID of a repository on the Hugging Face hub, looked for in this order.
        revision (str, optional): Branch, tag or commit of the repository.

    Raises:
        FileNotFoundError: If neither folder nor repository can be found.
    """
    of_zoo, folder = find_model(source), Path(source).expanduser()
    if of_zoo is not None:
        project = 'projects.' + read_index()[str(source)].config.partition('/')[0]
        if find_spec('projects') and find_spec(project):
            import_module(project)  # registers its classes
        return of_zoo
    folder = folder.parent if folder.name == 'config.json' else folder
    if folder.is_dir():
        return folder
    if not is_hub_id(source):
        raise FileNotFoundError(f'{source}: no such model, expected one of the zoo, a folder of '
                                'tools/publish.py, or the ID user/model of a Hugging Face '
                                f'repository{suggest(source)}')
    from huggingface_hub import constants, snapshot_download  # heavy
    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=list(FILES)))
    except Exception as error:  # the network fails in many ways
        reason = (str(error).splitlines() or [''])[0]
        at = f' (revision {revision})' if revision else ''
        raise FileNotFoundError(
            f'{source}{at}: found neither a local folder nor a model to download\n'
            f'  tried the folder {folder.absolute()}\n'
            f'  tried the cache {constants.HF_HUB_CACHE}\n'
            f'  tried {constants.ENDPOINT}/{source}: {type(error).__name__}: {reason}\n'
            f'By hand, with network access: hf download {source}'
            f'{f" --revision {revision}" if revision else ""} --local-dir FOLDER; then use the '
            'path of FOLDER') from error


def find_weights(folder: Path) -> Path:
    """Find the weights file of a published folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there are several, or it is no regular file of the folder.
    """
    found = [path for path in sorted(folder.iterdir()) if _WEIGHTS.fullmatch(path.name)]
    if not found:
        names = sorted(path.name for path in folder.iterdir())
        raise FileNotFoundError(
            f'{folder}: found {names[:8] or "nothing"}, expected model-<sha8>.safetensors and '
            'config.json of tools/publish.py; for a checkpoint of a training use its file')
    if len(found) > 1:
        raise ValueError(f'{folder}: found {[path.name for path in found]}, expected one model '
                         'per folder')
    _open(found[0])
    return found[0]


def read_weights(path: Path) -> dict:
    """Read the tensors of a safetensors file.

    Raises:
        ValueError: If the file is damaged, or does not match the hash in its name.
    """
    from safetensors.torch import load
    content = path.read_bytes()
    promised = _WEIGHTS.fullmatch(path.name)
    digest = hashlib.sha256(content).hexdigest()
    if promised and not digest.startswith(promised[1]):
        raise ValueError(f'{path}: found SHA-256 {digest[:8]}..., expected {promised[1]}... as in '
                         'the name; the file is damaged or incomplete, download it again')
    size = int.from_bytes(content[:8], 'little')
    try:
        if size > _MAX_HEADER:
            raise ValueError(f'a header of {size} bytes, expected at most {_MAX_HEADER}')
        state = load(content)
        header = json.loads(content[8:8 + size])
    except Exception as error:  # damaged bytes raise nearly anything
        raise ValueError(f'{path}: not a readable safetensors file ({type(error).__name__}: '
                         f'{show(str(error))}); it may be truncated, download it again') from error
    for name in state:
        if header[name]['dtype'] not in _DTYPES:
            raise ValueError(found_expected(path, show(name), header[name]['dtype'],
                                            f'one of {", ".join(_DTYPES)}'))
    return state


def pack_weights(state: dict, config: dict, labels: Sequence[str]) -> bytes:
    """Pack tensors as safetensors, the same bytes for the same content.

    Args:
        state (dict): Tensors by name.
        config (dict): Content of ``config.json``, whose SHA-256 is added.
        labels (Sequence[str]): Class names, likewise.
    """
    from safetensors.torch import save

    blob = save({name: tensor.contiguous() for name, tensor in state.items()},
                metadata=dict(format='pt', **digests(config, labels)))
    end = 8 + int.from_bytes(blob[:8], 'little')
    header = json.loads(blob[8:end])  # its metadata has a random order
    header = dict(header, __metadata__=dict(sorted(header['__metadata__'].items())))
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return len(text).to_bytes(8, 'little') + text + blob[end:]


def digests(config: dict, labels: Sequence[str]) -> dict[str, str]:
    """Compute the SHA-256 of config and class names, which the weights file has as metadata."""
    return {name: hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
            for name, content in (('config.json', config), ('labels.txt', list(labels)))}


def check_digests(folder: Path):
    """Compare config and class names with the weights file, if it has their digests.

    Raises:
        ValueError: If they differ.
    """
    from safetensors import safe_open

    with safe_open(find_weights(folder), 'pt') as file:
        promised = file.metadata() or {}
    found = digests(json.loads(_read(folder / 'config.json')), read_labels(folder) or ())
    for name, digest in found.items():
        if promised.get(name, digest) != digest:
            raise ValueError(found_expected(
                folder / name, 'content', f'SHA-256 {digest[:8]}...', f'{promised[name][:8]}... '
                'as in the weights file; it is damaged or was changed, download it or publish '
                'the model again'))


def read_labels(folder: Path) -> list[str] | None:
    """Read the class names of a published folder, None if it has none.

    Raises:
        ValueError: If a line is empty, not printable or not the first of its name.
    """
    path = folder / 'labels.txt'
    if not path.exists() and not path.is_symlink():
        return None
    labels = _read(path).replace('\r\n', '\n').removesuffix('\n').split('\n')
    check_labels(labels, path)
    return labels


def check_labels(labels: Sequence[str], where: str | Path):
    """Check class names, one per line.

    Raises:
        ValueError: If a name is empty, not printable or there twice.
    """
    lines: dict[str, int] = {}
    for line, label in enumerate(labels, 1):
        if not label.strip() or not label.isprintable():
            raise _error(where, f'line {line}', label, 'no empty or unprintable line, one class '
                         'name per line')
        if lines.setdefault(label, line) != line:
            raise _error(where, f'line {line}', label,
                         f'a name other than that of line {lines[label]}')


def read_config(path: Path, keys: PublishedKeys | None = None) -> Config:
    """Read and check a ``config.json``.

    Args:
        path (Path): The file.
        keys (PublishedKeys, optional): See :func:`check_config`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is not JSON, or contains anything that :func:`check_config` refuses.
    """
    if not path.exists() and not path.is_symlink():
        raise FileNotFoundError(f'{path}: no such file, expected that of tools/publish.py')
    text = _read(path)
    try:
        content = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path}: not JSON ({str(error)[:200]})') from None
    check_config(content, str(path), keys)
    return Config(content, filename=str(path))


def _open(path: Path) -> Path:
    """Resolve the path of a file of a folder; the hub's cache links to its blobs.

    Raises:
        ValueError: If it is a link to another place, or no regular file.
    """
    folder, target = path.parent.resolve(), Path(os.path.realpath(path))  # also of a circle
    if target.parent not in (folder, folder.parent.parent / 'blobs'):
        raise _error(path, 'link', str(target), f'a file of {folder}')
    if not target.exists() or not stat.S_ISREG(target.stat().st_mode):
        raise _error(path, 'kind of file', 'no regular file', 'a file with content')
    return target


def _read(path: Path) -> str:
    size = _open(path).stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f'{path}: found {size} bytes, expected at most {_MAX_BYTES}')
    try:
        return path.read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError:
        raise ValueError(f'{path}: found invalid UTF-8, expected text in UTF-8') from None


def check_config(content: Any, where: str, keys: PublishedKeys | None = None):
    """Refuse a config that is more than the description of a model.

    Allowed are ``default_scope``, ``model``, ``test_dataloader.dataset`` and ``test_evaluator``,
    made of numbers, single words, lists and dicts. Each ``type`` is registered in MoFM itself:
    no dotted path, no class of MMEngine. File names are refused.

    Args:
        content: The parsed JSON.
        where (str): The file, for the message.
        keys (PublishedKeys, optional): Allowed settings of data set and metrics. By default all,
            for readers of the model only.

    Raises:
        ValueError: If it contains anything else.
    """
    _check_size(content, where)
    _check_keys(content, where, ('default_scope', 'model', 'test_dataloader', 'test_evaluator'))
    if content.get('default_scope') != 'mofm':
        raise _error(where, 'default_scope', content.get('default_scope'), "'mofm'")
    if not isinstance(content.get('model'), dict):
        raise _error(where, 'model', content.get('model'), 'a dict with a type')
    _check(content['model'], where, 'model', MODELS)
    loader = content.get('test_dataloader', {})
    _check_keys(loader, where, ('dataset', ), 'test_dataloader')
    dataset = loader.get('dataset', {})
    _check_keys(dataset, where, keys and (*_DATASET_KEYS, *keys.dataset),
                'test_dataloader.dataset')
    _check(dict(dataset, pipeline=[]), where, 'test_dataloader.dataset', DATASETS)
    _check(dataset.get('pipeline', []), where, 'test_dataloader.dataset.pipeline', TRANSFORMS)
    metrics = content.get('test_evaluator', [])
    for metric in metrics if isinstance(metrics, list) else [metrics]:
        _check_keys(metric, where, keys and ('type', *keys.metric), 'test_evaluator')
        for key, value in metric.items():
            _check({key: value}, where, 'test_evaluator', METRICS if key == 'type' else FUNCTIONS)


def describe_config(cfg: Config, keys: PublishedKeys) -> dict:
    """Return the content of a ``config.json``: model and input pipeline, no file names."""
    cfg = cfg.to_dict()
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    metrics = cfg.get('test_evaluator') or []
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    METRICS.import_from_location()
    content = dict(
        default_scope='mofm',
        model=_without_training(cfg['model']),
        test_dataloader=dict(dataset={k: dataset[k] for k in (*_DATASET_KEYS, *keys.dataset)
                                      if k in dataset}),
        test_evaluator=[{k: metric[k] for k in ('type', *keys.metric) if k in metric}
                        for metric in metrics if metric['type'] in METRICS.module_dict])
    return json.loads(json.dumps(content))  # tuples to lists, as in the file


def _without_training(cfg):
    """Remove losses and initial checkpoints from the settings of a model."""
    if isinstance(cfg, dict):
        return {k: _without_training(v) for k, v in cfg.items() if k not in ('init_cfg', 'loss')}
    return [_without_training(v) for v in cfg] if isinstance(cfg, (list, tuple)) else cfg


def _error(where: str | Path, field: str, found: Any, expected: str) -> ValueError:
    return ValueError(found_expected(where, field or 'the top', show(found), expected))


def _check_size(content: Any, where: str):
    """Refuse a config of too many values."""
    values, count = [content], 0
    while values:
        count += len(values)
        if count > _MAX_VALUES:
            raise _error(where, '', f'over {_MAX_VALUES} values', f'at most {_MAX_VALUES}')
        values = [item for value in values if isinstance(value, (dict, list))
                  for item in (value.values() if isinstance(value, dict) else value)]


def _check_keys(value: Any, where: str, allowed: tuple | None, field: str = ''):
    """Refuse anything but a dict of the allowed keys; None allows all."""
    if not isinstance(value, dict):
        raise _error(where, field, value, f'a dict with {", ".join(allowed or ("settings", ))}')
    for key in value:
        if allowed is not None and key not in allowed:
            raise _error(where, field, key, f'only {", ".join(allowed)}')


def _check(value: Any, where: str, field: str, registry: Registry, depth: int = 0):
    """Refuse a value that, at any depth, :func:`check_config` does not allow."""
    if depth > _MAX_DEPTH:
        raise _error(where, field[:80], '...', f'at most {_MAX_DEPTH} levels')
    if isinstance(value, dict):
        for key, item in value.items():
            if not _KEY.fullmatch(key) or _FORBIDDEN.fullmatch(key):
                raise _error(where, field, key, 'names of settings without files and imports')
            if key == 'type':
                _check_type(item, where, f'{field}.type', registry)
            else:
                _check(item, where, f'{field}.{key}', registry, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, where, f'{field}[{index}]', registry, depth + 1)
    elif isinstance(value, str):
        if not _TEXT.fullmatch(value):
            raise _error(where, field, value, 'a single word without file, URL or import')
    elif value is not None and not abs(value) <= _MAX_NUMBER:  # NaN is in no order
        raise _error(where, field, value, f'a number of at most {_MAX_NUMBER}')


def _check_type(name: Any, where: str, field: str, registry: Registry):
    if not isinstance(name, str) or not is_registered(name, registry):
        raise _error(where, field, name, f'a {registry.name} registered in MoFM; README.md of the '
                     'model says which package has the class: install it, and import it first or '
                     'name it by --plugin')
