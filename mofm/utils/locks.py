"""Locks of files and folders that only one process may write."""

import errno
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


class LockedError(OSError):
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
    except Timeout:
        raise LockedError(f'{path}: held by {_holder(path)}') from None
    except PermissionError:
        raise
    except (OSError, NotImplementedError) as error:
        warnings.warn(f'{path}: cannot be locked ({error}); make sure that no other process '
                      f'writes to {path.parent}', stacklevel=3)
    try:
        with suppress(OSError):  # the disk is full
            path.write_text(f'process {os.getpid()} on {socket.gethostname()}', encoding='utf-8')
        yield
    finally:
        lock.release()


@contextmanager
def hold_output(path: str | Path) -> Iterator[None]:
    """Hold the lock of a file or folder while it is written.

    The lock file, ``.NAME.lock`` beside it, is removed at the end; that of a killed process by the
    next one.

    Args:
        path (str or Path): The output; its folder is made.

    Raises:
        LockedError: If another process holds the lock; the message names the output.
        OSError: If the folder is not writable.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f'.{path.name}.lock')
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(lock))
        except LockedError:
            raise LockedError(errno.EAGAIN, f'being written by {_holder(lock)}; wait for it, or '
                              'choose another output', str(path)) from None
        stack.callback(_remove, lock)  # while it is held
        yield


def _remove(path: Path):
    with suppress(OSError):  # Windows removes no open file
        path.unlink()


def _holder(path: Path) -> str:
    """Return the process that is named in a lock file."""
    try:
        return path.read_text(encoding='utf-8')[:200] or 'another process'
    except (OSError, UnicodeError):  # locked for reading on Windows
        return 'another process'
