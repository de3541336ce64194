"""Safe loading of checkpoints: no arbitrary objects, no silent mismatch.

MMEngine stores its message hub in a checkpoint. ``torch.load(weights_only=True)`` rejects the
classes in it, so ``resume=True`` fails with torch >= 2.6; exactly these are allowed here.
"""

import hashlib
import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from .published import find_published, find_weights, is_hub_id, read_labels, read_weights

# functions by which NumPy pickles arrays and scalars
_RECONSTRUCT: Any = np.zeros(1).__reduce__()[0]
_SCALAR: Any = np.float64(1).__reduce__()[0]


def _statistic(owner: type, name: str):
    """Return one of the four statistics of a HistoryBuffer, the only allowed ``getattr``."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'getattr({owner}, {name!r}) is not allowed')
    return getattr(owner, name)


def allow_mmengine_checkpoints():
    """Allow ``torch.load(weights_only=True)`` to read checkpoints of an MMEngine runner."""
    torch.serialization.add_safe_globals([
        HistoryBuffer, (_statistic, 'builtins.getattr'), np.ndarray, np.dtype,
        type(np.dtype('float64')), type(np.dtype('int64')), type(np.dtype('float32')),
        # written by NumPy 1 and by NumPy 2
        (_RECONSTRUCT, 'numpy.core.multiarray._reconstruct'),
        (_RECONSTRUCT, 'numpy._core.multiarray._reconstruct'),
        (_SCALAR, 'numpy.core.multiarray.scalar'),
        (_SCALAR, 'numpy._core.multiarray.scalar'),
    ])


def check_state(model: nn.Module, state: dict, source: str):
    """Check that a state dict fits a model.

    Args:
        model (nn.Module): The model.
        state (dict): Tensors by name.
        source (str): File of the state, for the message.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """
    expected = model.state_dict()
    problems = [
        f'  {name}: found {tuple(state[name].shape) if name in state else "nothing"}, expected '
        f'{tuple(tensor.shape)}' for name, tensor in expected.items()
        if name not in state or state[name].shape != tensor.shape
    ]
    if problems:
        shown = '\n'.join(problems[:5] + ([f'  ... and {len(problems) - 5} more']
                                          if len(problems) > 5 else []))
        raise ValueError(
            f'{source} does not fit {type(model).__name__}: {len(problems)} of {len(expected)} '
            f'tensors differ\n{shown}\nUse the config the checkpoint was trained with (same '
            'num_frames, canvas, patch, width, depth, vocabulary and classes).')


def fingerprint(model: nn.Module) -> str:
    """Compute the SHA-256 of the weights of a model."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def find_checkpoint(source: str | Path) -> Path:
    """Find the file of a checkpoint, of a published folder or of its ID on the hub.

    Raises:
        FileNotFoundError: If the file does not exist, and no such model can be downloaded.
    """
    path = Path(source).expanduser()
    if path.is_dir() or not path.exists() and is_hub_id(source):
        return find_weights(find_published(source))
    if not path.is_file():
        raise FileNotFoundError(f'{source}: no such checkpoint; train it first or set the path, '
                                'e.g. with --cfg-options (docs/training.md lists the steps)')
    return path


def find_resumable(work_dir: str | Path) -> str | None:
    """Find the newest intact checkpoint of a training.

    The one named by ``last_checkpoint`` comes first, then the others by modification time. Damaged
    ones are skipped with a warning. The main process searches for all processes, and deletes the
    unfinished files of killed ones.

    Args:
        work_dir (str or Path): Folder of the training.

    Returns:
        str or None: Path of a file, or of a folder with a file per rank; None if there is no
        checkpoint.

    Raises:
        ValueError: If there are checkpoints, but none is intact.
    """
    found: list[str | None] = [None]
    if is_main_process():
        for unfinished in Path(work_dir).glob('*.pth.*.tmp'):
            unfinished.unlink()
        found = [_newest_intact(_list_resumable(Path(work_dir)))]
    broadcast_object_list(found)
    return found[0]


def _list_resumable(work_dir: Path) -> list[Path]:
    """List checkpoints that can be resumed, newest first; the best and published ones cannot."""
    saved = [path for path in work_dir.glob('*.pth')
             if re.fullmatch(r'(epoch|iter)_\d+\.pth|preempted\.pth', path.name)]
    saved.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    pointer = work_dir / 'last_checkpoint'
    name = pointer.read_text(encoding='utf-8').strip() if pointer.exists() else ''
    if name:
        last = Path(name) if Path(name).exists() else work_dir / Path(name).name  # a moved folder
        saved = [last] + [path for path in saved if path.resolve() != last.resolve()]
    return saved


def _newest_intact(paths: list[Path]) -> str | None:
    """Return the first intact checkpoint."""
    for path in paths:
        if _is_intact(path):
            return str(path)
        print_log(f'{path}: missing or damaged, e.g. truncated; trying the previous checkpoint',
                  'current', logging.WARNING)
    if paths:
        names = ', '.join(path.name for path in paths)
        raise ValueError(f'{paths[0].parent}: found no intact checkpoint ({names}); name another '
                         'one by --resume CHECKPOINT, or omit --resume to start a new training')
    return None


def _is_intact(path: Path) -> bool:
    """Return whether all checksums of a checkpoint hold, which PyTorch does not check."""
    if path.is_dir():
        return any(path.iterdir()) and all(map(_is_intact, path.glob('rank*.pth')))
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except Exception:  # damaged bytes raise nearly anything
        return False


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_local(filename: str, map_location=None) -> dict:
    """Read a checkpoint; also used by MMEngine's ``load_from`` and ``resume``.

    Args:
        filename (str): Checkpoint of an MMEngine runner, a plain state dict, a ``.safetensors``
            file, a published folder, or the ID of one on the Hugging Face hub.
        map_location: See ``torch.load``.

    Returns:
        dict: Content of the file: tensors and metadata of MMEngine.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not a checkpoint.
    """
    path = find_checkpoint(filename)
    if path.suffix == '.safetensors':
        labels = read_labels(path.parent)
        return dict(state_dict=read_weights(path),
                    meta=dict(dataset_meta=dict(classes=labels)) if labels else {})
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # damaged bytes raise nearly anything
        reason = (str(error).splitlines() or [''])[0]
        raise ValueError(f'{filename}: not a readable checkpoint ({type(error).__name__}: '
                         f'{reason}); it may be truncated, or contain objects other than '
                         'weights') from error
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ValueError(f'{filename}: found {type(checkpoint).__name__} without tensors, '
                         'expected a checkpoint with a state_dict')
    return checkpoint


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def load_url(url: str, map_location=None) -> dict:
    """Download a checkpoint and read it safely; MMEngine would unpickle it.

    Raises:
        ValueError: If it cannot be downloaded, or is not a checkpoint.
    """
    file = Path(torch.hub.get_dir()) / 'checkpoints' / url.rpartition('/')[2]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file))
        except OSError as error:
            raise ValueError(f'{url}: cannot be downloaded ({error}); download it by hand and use '
                             'its path') from error
    return load_local(str(file), map_location)


def get_state(checkpoint: dict) -> dict:
    """Return the tensors of a checkpoint by name, without the prefix of DDP."""
    state = checkpoint.get('state_dict', checkpoint)
    return {k.removeprefix('module.'): v for k, v in state.items()}


def load_state(source: str | Path, prefix: str = '') -> dict:
    """Load the tensors of a checkpoint.

    Args:
        source (str or Path): See :func:`load_local`, or a URL.
        prefix (str): Prefix of the names of a part, e.g. 'backbone.', which is removed.

    Returns:
        dict: Tensors on the CPU by name.
    """
    state = get_state(CheckpointLoader.load_checkpoint(str(source), map_location='cpu'))
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


allow_mmengine_checkpoints()
