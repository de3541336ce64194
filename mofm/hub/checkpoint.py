"""Safe loading of checkpoints: no arbitrary objects, no damage, no silent mismatch."""

import hashlib
import http.client
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlsplit

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mofm.utils.checks import found_expected, show
from mofm.utils.config_files import packaged_configs
from mofm.utils.files import atomic_write

from .published import find_published, find_weights, is_hub_id, read_labels, read_weights
from .torch_file import is_intact, read_torch_file
from .zoo import find_model, read_index, suggest

#: File of a sharded checkpoint, a folder, with everything but its tensors.
REST = 'training.pth'
_URL = re.compile('https?://', re.IGNORECASE)
_CHUNK = 2**20


def check_state(model: nn.Module, state: dict, source: str):
    """Check that a state dict fits a model.

    Args:
        model (nn.Module): The model.
        state (dict): Tensors by name.
        source (str): File of the state, for the message.

    Raises:
        ValueError: If a tensor is missing, has another shape or no numbers of its kind, or a
            parameter is NaN or infinite.
    """
    expected = model.state_dict()
    problems = [
        f'  {name}: found {_describe(state.get(name), tensor)}, expected '
        f'{_describe(tensor, state.get(name, tensor))}' for name, tensor in expected.items()
        if name not in state or state[name].shape != tensor.shape
        or state[name].is_floating_point() != tensor.is_floating_point()
    ]
    if problems:
        shown = '\n'.join(problems[:5] + ([f'  ... and {len(problems) - 5} more']
                                          if len(problems) > 5 else []))
        raise ValueError(
            f'{source} does not fit {type(model).__name__}: {len(problems)} of {len(expected)} '
            f'tensors differ\n{shown}\nUse the config the checkpoint was trained with (same '
            'num_frames, canvas, patch, width, depth, vocabulary and classes).')
    wrong = [name for name, _ in model.named_parameters()
             if name in expected and not state[name].isfinite().all()]
    if wrong:
        raise ValueError(f'{source}: {wrong[0]}: found NaN or infinite weights, expected finite '
                         f'ones ({len(wrong)} tensors); the training diverged, use an earlier '
                         'checkpoint')


def _describe(tensor: Any, other: Any) -> str:
    """Describe the shape of a tensor, and its type if the shape is that of the other one."""
    if tensor is None:
        return 'nothing'
    same = other is not None and tensor.shape == other.shape
    return f'{tuple(tensor.shape)}{f" of {tensor.dtype}" if same else ""}'


def fingerprint(model: nn.Module) -> str:
    """Compute the SHA-256 of the weights of a model."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def is_sharded(path: str | Path) -> bool:
    """Return whether a path is the folder of a sharded checkpoint, see :mod:`.sharded`."""
    return Path(path, REST).is_file()


def find_checkpoint(source: str | Path) -> Path:
    """Find the file of a checkpoint, URL, model of the zoo, published folder or ID on the hub.

    A sharded checkpoint is a folder.

    Raises:
        FileNotFoundError: If the file does not exist, with the command that makes it, and no such
            model can be downloaded.
        ValueError: If the URL cannot be downloaded.
    """
    if _URL.match(str(source)):
        return _download(str(source))
    path = Path(source).expanduser()
    if is_sharded(path):
        return path
    if find_model(source) or path.is_dir() or not path.exists() and is_hub_id(source):
        return find_weights(find_published(source))
    if not path.is_file():
        raise FileNotFoundError(f'{source}: no such checkpoint; {_advice(path)}{suggest(source)}')
    return path


def _advice(path: Path) -> str:
    """Say where to get a checkpoint that does not exist: training, or model of the zoo."""
    _, below, folder = path.parent.as_posix().rpartition('work_dirs/')
    if not below or folder not in packaged_configs():
        return ('train it first or set the path, e.g. with --cfg-options (docs/training.md lists '
                'the steps)')
    others = [name for name, model in read_index().items() if model.config == folder]
    return f"'mofm train {folder}' makes it" + (
        f', or use {" or ".join(others)} of the zoo instead' if others else '')


def load_local(filename: str | Path, map_location=None) -> dict:
    """Read a checkpoint; also used by MMEngine's ``load_from`` and ``resume``.

    Args:
        filename (str or Path): Checkpoint of an MMEngine runner, in a file or sharded, a plain
            state dict, a ``.safetensors`` file, a model of the zoo, a published folder, the ID of
            one on the Hugging Face hub, or a URL.
        map_location (str or torch.device, optional): Device of the tensors, by default the CPU.

    Returns:
        dict: Content of the file: tensors and metadata of MMEngine.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged or not a checkpoint.
    """
    path = find_checkpoint(filename)
    if path.suffix == '.safetensors':
        labels = read_labels(path.parent)
        return dict(state_dict=read_weights(path),
                    meta=dict(dataset_meta=dict(classes=labels)) if labels else {})
    if path.is_dir():
        from .sharded import read_sharded  # heavy

        checkpoint = read_sharded(path)
    else:
        checkpoint = read_torch_file(path, map_location)
    _check_content(checkpoint, str(filename))
    return checkpoint


# all of MMEngine, which would read those of other prefixes by itself
CheckpointLoader.register_scheme(prefixes=(
    '', 'http://', 'https://', 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'modelzoo://',
    'torchvision://', 'open-mmlab://', 'openmmlab://', 'mmcls://'), loader=load_local, force=True)


def _are_dicts(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(item, dict) for item in values.values())


def _check_content(checkpoint: Any, where: str):
    """Raise a ValueError that names the first odd entry of a checkpoint."""
    def check(value: Any, field: str, valid: Callable | type, expected: str):
        if not (isinstance(value, valid) if isinstance(valid, type) else valid(value)):
            raise ValueError(found_expected(where, field, show(value), expected))

    check(checkpoint, 'content', dict, 'a checkpoint with a state_dict')
    states = {name: checkpoint[name] for name in ('state_dict', 'ema_state_dict')
              if name in checkpoint} if 'state_dict' in checkpoint else {'content': checkpoint}
    for field, state in states.items():
        check(state, field, dict, 'a dict of tensors, as a checkpoint has in state_dict')
        for name, tensor in state.items():
            check(name, f'{field}, key', str, 'the name of a tensor')
            entry = f'{field}.{ascii(name[:200])[1:-1]}'
            check(tensor, entry, torch.is_tensor, 'a tensor, as a checkpoint has in state_dict')
            check(tensor.dtype, entry, lambda dtype: not dtype.is_complex, 'real numbers')
    if 'state_dict' not in checkpoint:
        return
    meta = checkpoint.get('meta', {})
    check(meta, 'meta', dict, 'a dict')
    for name in ('epoch', 'iter'):
        check(meta.get(name, 0), f'meta.{name}', lambda n: type(n) is int and 0 <= n < 2**62,
              'a number of epochs or iterations')
    check(meta.get('cfg', ''), 'meta.cfg', str, 'the text of a config')
    check(meta.get('time', ''), 'meta.time', str, 'a time')
    check(meta.get('seed'), 'meta.seed', lambda seed: type(seed) in (int, type(None)), 'a number')
    data = {} if meta.get('dataset_meta') is None else meta['dataset_meta']
    check(data, 'meta.dataset_meta', dict, 'a dict')
    check(data.get('classes', ()), 'meta.dataset_meta.classes', lambda names: names is None or (
        isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)),
        'class names')
    hub = checkpoint.get('message_hub', {})
    check(hub, 'message_hub', dict, 'a dict')
    for name in ('log_scalars', 'runtime_info', 'resumed_keys'):
        check(hub.get(name, {}), f'message_hub.{name}', dict, 'a dict')
    optimizer = checkpoint.get('optimizer', {})
    check(optimizer, 'optimizer', dict, 'the state of an optimizer')
    if 'state' in optimizer or 'param_groups' in optimizer:  # several have names
        check(optimizer.get('state'), 'optimizer.state', _are_dicts, 'a dict per parameter')
        check(optimizer.get('param_groups'), 'optimizer.param_groups', lambda groups: isinstance(
            groups, list) and all(isinstance(group, dict) and isinstance(
                group.get('params'), list) for group in groups), 'a dict with params per group')
    schedulers = checkpoint.get('param_schedulers', [])
    for name, states in schedulers.items() if isinstance(schedulers, dict) else (
            ('', schedulers), ):
        check(states, f'param_schedulers{name and f".{ascii(name)}"}', lambda states: isinstance(
            states, list) and all(isinstance(state, dict) and type(state.get(
                '_global_step')) is int for state in states), 'a dict per schedule')
    check(checkpoint.get('resume', {}), 'resume', lambda resume: isinstance(
        resume, dict) and _are_dicts(resume.get('hooks', {})), 'the states of hooks')


def cache_path(url: str) -> Path:
    """Return where the file of a URL is, or will be, in the cache of torch."""
    parts = urlsplit(urldefrag(url).url)
    url = parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl()
    name = re.sub(r'[^\w.-]', '_', parts.path.rpartition('/')[2], flags=re.ASCII)[-100:]
    folder = hashlib.sha256(url.encode()).hexdigest()[:16]  # of equal names in different places
    return Path(torch.hub.get_dir()) / 'checkpoints' / folder / (name.lstrip('.') or 'file')


def _download(url: str) -> Path:
    """Download a file into the cache of torch, unless it is there, and return its path.

    Raises:
        ValueError: If it cannot be downloaded as a whole.
    """
    path = cache_path(url)
    if path.exists():
        return path
    url = urldefrag(url).url
    path.parent.mkdir(parents=True, exist_ok=True)
    print_log(f'{url}: downloading to {path}', 'current')
    try:
        request = urllib.request.Request(url, headers={'User-Agent': 'mofm'})
        with urllib.request.urlopen(request, timeout=60) as source, atomic_write(path) as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
            promised = source.headers.get('Content-Length')
            if promised is not None and file.tell() != int(promised):
                raise OSError(f'found {file.tell()} of {promised} bytes')
            file.flush()
            if not is_intact(Path(file.name), no_checksums=True):
                raise OSError('damaged or incomplete')
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ValueError(f'{url}: cannot be downloaded ({str(error)[:200]}); download it by hand '
                         'and use its path') from error
    return path


def get_state(checkpoint: dict) -> dict:
    """Return the tensors of a checkpoint by name, without the prefix of DDP."""
    state = checkpoint.get('state_dict', checkpoint)
    return {k.removeprefix('module.'): v for k, v in state.items()}


def load_state(source: str | Path, prefix: str = '') -> dict:
    """Load the tensors of a checkpoint.

    Args:
        source (str or Path): See :func:`load_local`.
        prefix (str): Prefix of the names of a part, e.g. 'backbone.', which is removed.

    Returns:
        dict: Tensors on the CPU by name.
    """
    state = get_state(load_local(str(source)))
    return {k[len(prefix):]: v for k, v in state.items() if k.startswith(prefix)}


def load_weights(model: nn.Module, path: str, prefix: str = ''):
    """Load a checkpoint, or a part of it, into a model, completely or not at all.

    Args:
        model (nn.Module): Model to load into.
        path (str): Checkpoint, published folder, ID of one on the Hugging Face hub, or URL.
        prefix (str): Prefix of the names of a part, e.g. 'backbone.'. Defaults to all.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not a checkpoint, or does not fit the model.
    """
    state = load_state(path, prefix)
    check_state(model, state, path)
    model.load_state_dict({k: state[k] for k in model.state_dict()})
