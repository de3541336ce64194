"""Files that appear complete or not at all, and space for them."""

import contextlib
import errno
import glob
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

#: Suffixes of files from which poses have yet to be estimated.
VIDEOS = {'.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'}
IMAGES = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}


@contextmanager
def named(path: str | Path, temporary: Path | None = None) -> Iterator[None]:
    """Name a file in the ``OSError`` of the block, e.g. that of a full disk, which names none.

    Args:
        path (str or Path): The file.
        temporary (Path, optional): Another name of it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error.__context__ if isinstance(error, RuntimeError) else error  # torch.save
        if not isinstance(cause, OSError) or cause.errno is None or cause.filename not in (
                None, str(temporary)):
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from error


def _temporary(path: str | Path) -> tuple[Path, Path]:
    """Return a path without symbolic links, which stay, and a temporary one beside it."""
    path = Path(os.path.realpath(path))
    return path, path.with_name(f'{path.name}.{uuid.uuid4().hex[:8]}.tmp')


@contextmanager
def temporary_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder ``NAME.<random>.tmp`` beside a file or folder to write, for its parts."""
    path, folder = _temporary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with named(path, folder):
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a path of the same suffix whose file becomes ``path`` when the block ends.

    It is for writers that choose the format by the suffix; see also :func:`atomic_write`.
    """
    with temporary_folder(path) as folder, named(path, folder / Path(path).name):
        yield folder / Path(path).name
        os.replace(folder / Path(path).name, os.path.realpath(path))


@contextmanager
def atomic_write(path: str | Path, mode: str = 'wb', newline: str | None = None) -> Iterator[IO]:
    """Open a file that appears complete, when the block ends, or not at all.

    It is written as ``NAME.<random>.tmp`` in the same folder, flushed to the disk and renamed. A
    symbolic link stays one. An ``OSError`` names the file.

    Args:
        path (str or Path): The file.
        mode (str): ``'wb'``, or ``'w'`` for text in UTF-8.
        newline (str, optional): See ``open``.
    """
    path, temporary = _temporary(path)
    try:
        with named(path, temporary):
            with temporary.open(mode.replace('w', 'x'), encoding=None if 'b' in mode else 'utf-8',
                                newline=newline) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # a removed or read-only folder
            temporary.unlink(missing_ok=True)
        raise


def remove_unfinished(path: Path):
    """Remove what killed processes left of a file or folder that is locked."""
    path = Path(os.path.realpath(path))  # as they were written
    for file in path.parent.glob(f'{glob.escape(path.name)}.????????.tmp'):
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)


def check_space(folder: str | Path, size: int):
    """Check that a folder can be written and has space for a file.

    Args:
        folder (str or Path): Made if needed.
        size (int): Bytes of the file.

    Raises:
        OSError: If it is not writable, or the disk or the quota is full.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        error.filename = str(folder)
        raise
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(errno.ENOSPC, f'found {free / 1e6:,.0f} MB free, expected {size / 1e6:,.0f} '
                      'MB for the next checkpoint; make room and start again', str(folder))
