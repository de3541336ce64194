"""Calls on hostile files in a process with limits: a regression cannot hang the suite."""

import os
import pickle
import resource
import signal
from collections.abc import Callable
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What became of a call: one of the three is set.

    Attributes:
        value: What was returned, or its type if that cannot be pickled.
        error: The exception.
        signal: Name of the signal that ended the process, e.g. 'SIGSEGV'.
    """

    value: Any = None
    error: Exception | None = None
    signal: str | None = None


def run_limited(function: Callable, *args: Any, memory: int = 2**30, seconds: int = 20,
                **kwargs: Any) -> Outcome:
    """Call a function in a forked process.

    Args:
        function (Callable): What to call.
        memory (int): Bytes of address space besides those the process has.
        seconds (int): Seconds of CPU time, and three times as many by the clock.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _call(write, memory, seconds, function, args, kwargs)
    os.close(write)
    with os.fdopen(read, 'rb') as pipe:
        content = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status or not content:
        return Outcome(signal=signal.Signals(-status).name if status < 0 else f'exit {status}')
    return Outcome(**pickle.loads(content))


def _call(pipe: int, memory: int, seconds: int, function: Callable, args, kwargs):
    """Call the function, write what became of it and end the process."""
    code = 1
    try:
        with open('/proc/self/statm') as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, ) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        for number in (signal.SIGALRM, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(3 * seconds)
        try:
            outcome = dict(value=function(*args, **kwargs))
        except Exception as error:
            outcome = dict(error=error)
        try:
            content = pickle.dumps(outcome)
            pickle.loads(content)
        except Exception:
            kind, value = outcome.popitem()
            outcome = dict(error=RuntimeError(f'{type(value).__name__}: {value}')) \
                if kind == 'error' else dict(value=type(value).__name__)
            content = pickle.dumps(outcome)
        with os.fdopen(pipe, 'wb') as file:
            file.write(content)
        code = 0
    finally:
        os._exit(code)
