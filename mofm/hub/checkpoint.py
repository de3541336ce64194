"""Checkpoints that load safely: no arbitrary objects, no silent mismatch.

MMEngine stores its message hub in a checkpoint. ``torch.load(weights_only=True)`` rejects the
classes in it, so ``resume=True`` fails with torch >= 2.6; exactly those are allowed here.
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

# the functions NumPy pickles arrays and scalars with
_RECONSTRUCT: Any = np.zeros(1).__reduce__()[0]
_SCALAR: Any = np.float64(1).__reduce__()[0]


def _statistic(owner: type, name: str):
    """What a HistoryBuffer needs of ``getattr``: its own four statistics, nothing else."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'getattr({owner}, {name!r}) is not allowed')
    return getattr(owner, name)


def allow_mmengine_checkpoints():
    """Let ``torch.load(weights_only=True)`` read what an MMEngine runner stores."""
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
    """Compare a state dict with the model it is meant for.

    Args:
        model (nn.Module): The model.
        state (dict): Names to tensors.
        source (str): File the state comes from, for the message.

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
    """SHA-256 of the weights of a model."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def find_checkpoint(source: str | Path) -> Path:
    """The file to read for a file, a published folder or the id of one.

    Raises:
        FileNotFoundError: If there is no such file, and no such model can be downloaded.
    """
    path = Path(source).expanduser()
    if path.is_dir() or not path.exists() and is_hub_id(source):
        return find_weights(find_published(source))
    if not path.is_file():
        raise FileNotFoundError(f'{source}: no such checkpoint; train it first or set the path, '
                                'e.g. with --cfg-options (docs/training.md lists the steps)')
    return path


def find_resumable(work_dir: str | Path) -> str | None:
    """The newest whole checkpoint of a training.

    First comes the one that ``last_checkpoint`` names, then the others by the time they were
    written. A damaged one is skipped with a warning. The main process looks for them on behalf of
    all, and deletes files that a killed process has left half-written.

    Args:
        work_dir (str or Path): Folder of the training.

    Returns:
        str or None: Path of a file, or of a folder with a file for each rank; None if there is no
        checkpoint yet.

    Raises:
        ValueError: If there are checkpoints, but none is whole.
    """
    found: list[str | None] = [None]
    if is_main_process():
        for unfinished in Path(work_dir).glob('*.pth.*.tmp'):
            unfinished.unlink()
        found = [_newest_whole(_saved(Path(work_dir)))]
    broadcast_object_list(found)
    return found[0]


def _saved(work_dir: Path) -> list[Path]:
    """Checkpoints that can be resumed, which the best and published ones cannot; newest first."""
    saved = [path for path in work_dir.glob('*.pth')
             if re.fullmatch(r'(epoch|iter)_\d+\.pth|preempted\.pth', path.name)]
    saved.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    pointer = work_dir / 'last_checkpoint'
    name = pointer.read_text(encoding='utf-8').strip() if pointer.exists() else ''
    if name:
        last = Path(name) if Path(name).exists() else work_dir / Path(name).name  # a moved folder
        saved = [last] + [path for path in saved if path.resolve() != last.resolve()]
    return saved


def _newest_whole(paths: list[Path]) -> str | None:
    """The first checkpoint that is whole."""
    for path in paths:
        if _is_whole(path):
            return str(path)
        print_log(f'{path}: missing or damaged, e.g. truncated; looking for the checkpoint before '
                  'it', 'current', logging.WARNING)
    if paths:
        names = ', '.join(path.name for path in paths)
        raise ValueError(f'{paths[0].parent}: found no whole checkpoint ({names}); give another '
                         'one by --resume CHECKPOINT, or omit --resume to start a new training')
    return None


def _is_whole(path: Path) -> bool:
    """Whether every byte of a checkpoint is as it was written; PyTorch does not check."""
    if path.is_dir():
        return any(path.iterdir()) and all(map(_is_whole, path.glob('rank*.pth')))
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except Exception:  # damaged bytes raise nearly anything
        return False


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_local(filename: str, map_location=None) -> dict:
    """Read a checkpoint; registered for MMEngine's ``load_from`` and ``resume`` too.

    Args:
        filename (str): Checkpoint of an MMEngine runner, a plain state dict, a ``.safetensors``
            file, a published folder, or the id of one on the Hugging Face hub.
        map_location: As for ``torch.load``.

    Returns:
        dict: What the file holds, made of tensors and of what MMEngine adds.

    Raises:
        FileNotFoundError: If there is no such file.
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
                         f'{reason}); it may be truncated, or hold objects that are not '
                         'weights') from error
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ValueError(f'{filename}: found {type(checkpoint).__name__} without tensors, '
                         'expected a checkpoint with a state_dict')
    return checkpoint


@CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), force=True)
def load_url(url: str, map_location=None) -> dict:
    """Download a checkpoint and read it as a local one; MMEngine would unpickle it unchecked.

    Raises:
        ValueError: If it cannot be downloaded, or is not a checkpoint.
    """
    file = Path(torch.hub.get_dir()) / 'checkpoints' / url.rpartition('/')[2]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(file))
        except OSError as error:
            raise ValueError(f'{url}: cannot be downloaded ({error}); fetch it by hand and give '
                             'its path') from error
    return load_local(str(file), map_location)


def load_state(source: str | Path, prefix: str = '') -> dict:
    """Tensors of a checkpoint.

    Args:
        source (str or Path): As for :func:`load_local`, or a URL.
        prefix (str): Names of the part, e.g. 'backbone.', which is removed from them.

    Returns:
        dict: Names to tensors on the CPU.
    """
    checkpoint = CheckpointLoader.load_checkpoint(str(source), map_location='cpu')
    state = checkpoint.get('state_dict', checkpoint)
    state = {k.removeprefix('module.'): v for k, v in state.items()}
    return {k[len(prefix):]: v for k, v in state.items() if k.startswith(prefix)}


def load_weights(model: nn.Module, path: str, prefix: str = ''):
    """Load a part of a checkpoint into a model, completely or not at all.

    Args:
        model (nn.Module): Receives the weights.
        path (str): Checkpoint, published folder, id of one on the Hugging Face hub, or URL.
        prefix (str): Names of the part, e.g. 'backbone.'. Defaults to everything.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a checkpoint, or not of this model.
    """
    state = load_state(path, prefix)
    check_state(model, state, path)
    model.load_state_dict({k: state[k] for k in model.state_dict()})


allow_mmengine_checkpoints()
