"""Processes that end with their parent, and parallel calls."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mofm.utils.processes import run_parallel
from tests.test_tools.interrupted import session

PARENT = """
import multiprocessing, sys, time
from mofm.utils.processes import run_parallel
if __name__ == '__main__':
    multiprocessing.set_start_method(sys.argv[1])
    for item, _ in run_parallel(time.sleep, [0, 0, 60, 60], 2):
        print(item, flush=True)
"""


def act(item):
    """Return, raise, or die."""
    if isinstance(item, BaseException):
        raise item
    if item == 'die':
        os.kill(os.getpid(), signal.SIGKILL)
    return item * 2


def test_parallel_calls_return_all_results():
    assert sorted(run_parallel(act, range(20), 3)) == [(i, 2 * i) for i in range(20)]
    assert list(run_parallel(act, [], 2)) == []


@pytest.mark.parametrize('error', [ValueError('a'), KeyboardInterrupt()])
def test_parallel_calls_end_at_an_error(error):
    with pytest.raises(type(error)):
        list(run_parallel(act, [1, error, 2], 2))


def test_killed_process_is_an_error_that_names_its_item():
    with pytest.raises(RuntimeError, match='exit code -9 at die; if memory is short'):
        list(run_parallel(act, ['a', 'die', 'b'], 2))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='needs Linux')
@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_workers_end_with_their_killed_parent(tmp_path, method):
    (tmp_path / 'parent.py').write_text(PARENT)
    parent = subprocess.Popen([sys.executable, tmp_path / 'parent.py', method],
                              stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout.readline() + parent.stdout.readline() == b'0\n0\n'
    time.sleep(.2)
    assert len(session(parent.pid)) >= 2
    parent.kill()
    parent.wait()
    end = time.monotonic() + 5
    while session(parent.pid) and time.monotonic() < end:
        time.sleep(.05)
    assert not session(parent.pid)


BORN = """
import multiprocessing, signal
from mofm.utils.processes import block, unblock
def masked(*_):
    print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True)
if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    block([signal.SIGTERM])
    process = multiprocessing.Process(target=masked)
    process.start()
    process.join()
    masked()
    unblock([signal.SIGTERM])
    masked()
"""


@pytest.mark.slow
def test_spawned_process_is_born_with_blocked_signals(tmp_path):
    """The first one starts Python's tracker of resources, which unblocks them."""
    (tmp_path / 'born.py').write_text(BORN)
    done = subprocess.run([sys.executable, tmp_path / 'born.py'], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == ['True', 'True', 'False']
