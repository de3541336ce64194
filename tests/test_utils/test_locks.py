"""Locks of files that one process writes."""

import os
import signal
import time

import pytest
from filelock import FileLock

from mofm.utils.locks import LockedError, hold_lock

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')


def holder(path) -> int:
    """Fork a process that holds the lock, and has a worker of its own."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with hold_lock(path):
            if os.fork():
                os.write(write, b'held')
            time.sleep(60)
        os._exit(0)
    assert os.read(read, 4) == b'held'
    return child


def test_second_process_is_told_the_first_and_a_killed_one_loses_the_lock(tmp_path):
    path = tmp_path / 'out.lock'
    child = holder(path)
    for _ in range(2):  # an attempt does not erase the name of the holder
        with pytest.raises(LockedError, match=f'out.lock: held by process {child} on '), \
                hold_lock(path):
            pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for _ in range(2):
        with hold_lock(path):  # also while the worker lives
            assert path.read_text().startswith(f'process {os.getpid()} on ')


def test_file_system_without_locks_is_named_and_the_work_goes_on(tmp_path, monkeypatch):
    def unsupported(lock, timeout):
        raise OSError(95, 'Operation not supported')

    monkeypatch.setattr(FileLock, 'acquire', unsupported)
    with pytest.warns(UserWarning, match='out.lock: cannot be locked .*Operation not supported'), \
            hold_lock(tmp_path / 'out.lock'):
        done = True
    assert done
