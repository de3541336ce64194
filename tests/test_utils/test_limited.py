import ctypes
import time

import pytest

from tests.limited import run_limited

pytestmark = pytest.mark.skipif('not __import__("os").path.exists("/proc/self/statm")',
                                reason='needs Linux')


def _fail():
    raise ValueError('the message')


def _spin():
    while True:
        pass


def test_limited_call_returns_value_or_error():
    assert run_limited(len, 'abc').value == 3
    assert str(run_limited(_fail).error) == 'the message'


def test_limited_call_of_a_crash_names_the_signal():
    assert run_limited(ctypes.string_at, 0).signal == 'SIGSEGV'


def test_limited_call_without_end_is_ended():
    for outcome in (run_limited(_spin, seconds=1), run_limited(time.sleep, 60, seconds=1)):
        assert outcome.signal in ('SIGXCPU', 'SIGKILL', 'SIGALRM')  # by load and system


def test_limited_call_with_much_memory_fails():
    assert isinstance(run_limited(bytes, 2**31).error, MemoryError)
