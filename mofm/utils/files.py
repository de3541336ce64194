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


@contextmanager
def named(path: str | Path, temporary: Path | None = None) -> Iterator[None]:
    """Name a file in the ``OSError`` of the block, e.g. that of a full disk, which names none.

    Args:
        path (str or Path): The file.
        temporary (Path, optional): Another name of it.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise


@contextmanager
def atomic_path(path: str | Path, suffix: str = '') -> Iterator[Path]:
    """Yield a temporary path whose file becomes ``path`` when the block ends, or is removed.

    It is ``NAME.<random>.tmp`` in the same folder. A symbolic link stays one.

    Args:
        path (str or Path): The file.
        suffix (str): Suffix after ``.tmp``, from which a writer chooses the format.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f'{path.name}.{uuid.uuid4().hex[:8]}.tmp{suffix}')
    try:
        with named(path, temporary):
            yield temporary
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):  # a removed or read-only folder
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | Path, mode: str = 'wb', newline: str | None = None) -> Iterator[IO]:
    """Open a file that appears complete, when the block ends, or not at all.

    It is flushed to the disk before it is renamed, see :func:`atomic_path`.

    Args:
        path (str or Path): The file.
        mode (str): ``'wb'``, or ``'w'`` for text in UTF-8.
        newline (str, optional): See ``open``.
    """
    with atomic_path(path) as temporary, temporary.open(
            mode.replace('w', 'x'), encoding=None if 'b' in mode else 'utf-8',
            newline=newline) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def remove_unfinished(path: Path):
    """Remove the temporary files that killed processes left of a file that is locked."""
    for file in path.parent.glob(f'{glob.escape(path.name)}.????????.tmp'):
        file.unlink(missing_ok=True)


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
