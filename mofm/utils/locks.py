"""Locks of files and folders that only one process may write."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class LockedError(RuntimeError):
    """Another process holds a lock."""


@contextmanager
def hold_lock(path: str | Path) -> Iterator[None]:
    """Hold a lock file during a block.

    The lock ends with the process, also if it is killed; the file stays. On a file system without
    locks a warning is printed and the block runs.

    Args:
        path (str or Path): Lock file, e.g. beside the file to write; its folder is made.

    Raises:
        LockedError: If another process holds the lock; the message names it.
    """
    path = Path(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
        path.write_text(f'process {os.getpid()} on {socket.gethostname()}', encoding='utf-8')
    except Timeout:
        raise LockedError(f'{path}: held by {_holder(path)}') from None
    except PermissionError:
        raise
    except (OSError, NotImplementedError) as error:
        warnings.warn(f'{path}: cannot be locked ({error}); make sure that no other process '
                      f'writes to {path.parent}', stacklevel=3)
    try:
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Return the process that is named in a lock file."""
    try:
        return path.read_text(encoding='utf-8')[:200] or 'another process'
    except (OSError, UnicodeError):  # locked for reading on Windows
        return 'another process'
