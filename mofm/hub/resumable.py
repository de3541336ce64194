"""Search for the checkpoint of a training to resume."""

import logging
import re
from pathlib import Path

from mmengine.logging import print_log

from .checkpoint import REST
from .sharded import is_whole
from .torch_file import is_intact, read_torch_file

_SAVED = re.compile(r'((best_.+_)?(epoch|iter)_\d+|preempted)\.pth')


def list_checkpoints(work_dir: Path) -> dict[Path, dict | None]:
    """List the checkpoints that trainings wrote to a work dir, by the names MMEngine gives them.

    Returns:
        dict: Path to metadata, None if unreadable; these first, then by epoch and iteration, the
        last first.
    """
    paths = {path for path in work_dir.glob('*.pth') if _SAVED.fullmatch(path.name)}
    found = {path: read_meta(path) for path in paths | set(_named(work_dir))}
    return dict(sorted(found.items(), reverse=True,
                       key=lambda item: (item[1] is None, place(item[1]), item[0])))


def read_meta(path: Path) -> dict | None:
    """Read the metadata of a checkpoint without its weights.

    Args:
        path (Path): File, or folder of a sharded checkpoint.

    Returns:
        dict or None: Content of ``meta``, empty if there is none; None for an unreadable file.
    """
    if path.is_dir():
        path /= REST
    try:
        checkpoint = read_torch_file(path, 'meta')
    except ValueError:
        return None
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    return meta if isinstance(meta, dict) else {}


def place(meta: dict | None) -> tuple[int, int]:
    """Return epoch and iteration of a checkpoint, (-1, -1) if unknown.

    With a larger batch a later epoch may have a smaller number of iterations.
    """
    values = [(meta or {}).get(key) for key in ('epoch', 'iter')]
    epoch, iteration = (value if isinstance(value, int) else -1 for value in values)
    return epoch, iteration


def _named(work_dir: Path) -> list[Path]:
    """Return the path in ``work_dir`` that ``last_checkpoint`` names, if any.

    The file has an absolute path, but a copied folder has its own checkpoints.
    """
    pointer = work_dir / 'last_checkpoint'
    try:
        name = re.split(r'[\\/]', pointer.read_text(encoding='utf-8').strip())[-1]
        if not name.isprintable():
            raise ValueError('no file name')
        (work_dir / name).exists()  # an OSError for a long name
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        print_log(f'{pointer}: ignored, not readable ({error})', 'current', logging.WARNING)
        return []
    return [work_dir / name] if name.endswith('.pth') else []


def find_resumable(work_dir: str | Path, run_id: str | None = None) -> str | None:
    """Find the newest intact checkpoint of a training.

    That is the one of the last epoch and iteration, among those that a training writes and the
    one that ``last_checkpoint`` names. Damaged ones and those of other runs are skipped with a
    warning. Unfinished files of killed processes are deleted.

    Args:
        work_dir (str or Path): Folder of the training.
        run_id (str, optional): Run that the checkpoints belong to, None for those of version 0.2.

    Returns:
        str or None: Path of a file, or of a folder of a sharded checkpoint; None if there is no
        checkpoint.

    Raises:
        ValueError: If there are checkpoints, but none can be resumed.
    """
    work_dir = Path(work_dir)
    for unfinished in work_dir.glob('*.pth.*.tmp'):
        unfinished.unlink()
    checkpoints = {path: meta for path, meta in list_checkpoints(work_dir).items()
                   if not path.name.startswith('best_')}  # without the optimizer
    for path, meta in checkpoints.items():
        other = meta is not None and meta.get('run_id') != run_id
        if not other and meta is not None and (
                is_whole(path) if path.is_dir() else is_intact(path)):
            return str(path)
        reason = 'of another run' if other else 'missing or damaged, e.g. truncated'
        print_log(f'{path}: {reason}; trying the previous checkpoint', 'current', logging.WARNING)
    if checkpoints:
        names = ', '.join(path.name for path in checkpoints)
        raise ValueError(f'{work_dir}: found no intact checkpoint of the run ({names}); name '
                         'another one by --resume CHECKPOINT, or start a new training with '
                         '--overwrite or another --work-dir')
    return None
