"""Tools end in one line: after an interruption, an error of the user, a full disk.

A tool, or :mod:`mofm.cli` for it, imports this module first: before and after :func:`run_tool` an
interruption ends it.
"""

import atexit
import gc
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

_SIGNALS = {signal.SIGINT: 'Interrupted', signal.SIGTERM: 'Terminated'}


class _Ending:
    """The signal that ends the tool.

    Attributes:
        process (int): The tool; processes that it forks have the handlers, too.
        signum (int or None): The signal.
        hint (str): What the user may do.
        explained (bool): An error has been explained; those of destructors follow from it.
        said (bool): The line has been printed.
    """

    process = os.getpid()
    signum = None
    hint = ''
    explained = said = False

    @classmethod
    def say(cls, signum: int):
        """Print the line, once."""
        if not cls.said and os.environ.get('RANK', '0') == '0':
            cls.said = True
            print(f'{_SIGNALS[signal.Signals(signum)]}{cls.hint}', file=sys.stderr, flush=True)

    @classmethod
    def now(cls, signum: int):
        """End the process with a line."""
        with suppress(OSError, RuntimeError):  # closed, or interrupted while it is written
            cls.say(signum)
        os._exit(128 + signum)

    @classmethod
    def leave(cls, signum: int, frame=None):
        """Handle a signal while nothing is to be cleaned up."""
        if os.getpid() == cls.process:
            cls.now(signum)

    @classmethod
    def unwind(cls, signum: int, frame=None):
        """Handle a signal by an exception; a second signal ends an unwinding that hangs."""
        if os.getpid() != cls.process:
            if signum == signal.SIGTERM:
                os._exit(128 + signum)
            return  # Ctrl-C is for the tool, which ends its processes
        if _imports(frame):  # whose bare excepts would swallow it
            threading.Timer(.05, _repeat, [signum]).start()
        elif cls.signum is None:
            cls.signum, cls.since = signum, time.monotonic()
            raise KeyboardInterrupt
        elif time.monotonic() - cls.since > 1:  # launchers repeat the signal at once
            cls.now(signum)

    @classmethod
    def swallowed(cls, unraisable):
        """Raise again what was raised in a destructor or a callback, where exceptions end."""
        if cls.signum is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            if cls.signum is None and not cls.explained:  # no consequence of the end
                sys.__unraisablehook__(unraisable)
            return
        signum, cls.signum = cls.signum, None
        threading.Timer(.05, _repeat, [signum]).start()


def _handle(handler: Callable):
    """Handle the signals, except those that the caller ignores as ``nohup`` does."""
    for signum in _SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, handler)


def _repeat(signum: int):
    """Send a signal to the main thread, whose system call it interrupts."""
    if hasattr(signal, 'pthread_kill'):
        signal.pthread_kill(threading.main_thread().ident, signum)
    else:
        signal.raise_signal(signum)


def _imports(frame) -> bool:
    """Return whether the tool imports a module."""
    while frame is not None and frame.f_globals is not globals():
        if 'importlib' in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def _imported_by_script() -> bool:
    frame = sys._getframe(1)  # noqa: SLF001
    while frame is not None and (frame.f_globals is globals()
                                 or frame.f_globals.get('__name__') == 'mofm.cli'
                                 or 'importlib' in frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get('__name__') == '__main__'


if _imported_by_script() and threading.current_thread() is threading.main_thread():
    _handle(_Ending.leave)
    # the last of all, as it is the first: then Python would restore the default, an exit by signal
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def run_tool(main: Callable[[], object], *errors: type[Exception], hint: str = '',
             debug: bool | None = None):
    """Run a tool, and exit unless it succeeds.

    Exit codes are 130 after Ctrl-C, 143 after SIGTERM, 1 after an error. Errors of files, e.g. of
    a full disk, are one line; a closed pipe as in ``| head`` is quiet.

    Args:
        main (Callable): The tool; what it returns is the exit code.
        errors (type[Exception]): Errors of the user, of which only the message is shown.
        hint (str): What to do after an interruption, e.g. 'the same command resumes'.
        debug (bool, optional): True shows the traceback of every error, False of none. By default
            that of errors which are neither of the user nor of files.
    """
    if threading.current_thread() is not threading.main_thread():
        main()
        return
    _Ending.process, _Ending.signum = os.getpid(), None
    _Ending.explained = _Ending.said = False
    _Ending.hint = f'; {hint}' if hint else ''
    hook, sys.unraisablehook = sys.unraisablehook, _Ending.swallowed
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    _handle(_Ending.unwind)
    try:
        code = _run(main, errors, debug)
        if _Ending.explained:
            gc.collect()  # destructors of what the error held, while the hook is quiet
    finally:
        _Ending.hint = ''
        for signum, handler in before.items():
            if handler is not None:
                signal.signal(signum, handler)
        sys.unraisablehook = hook
    if code:
        sys.exit(code)


def _run(main: Callable[[], object], errors: tuple, debug: bool | None) -> object:
    """Run the tool and return its exit code or message."""
    try:
        code = main()
        sys.stdout.flush()
        if _Ending.signum is None:
            return code
    except KeyboardInterrupt:
        pass
    except Exception as error:
        if _Ending.signum is None:
            return _explain(error, errors, debug)
    except SystemExit as end:
        if debug and end.__context__:
            traceback.print_exception(end.__context__)
        raise
    signum = _Ending.signum or signal.SIGINT
    _Ending.say(signum)
    return 128 + signum


def _explain(error: Exception, errors: tuple, debug: bool | None) -> object:
    """Return the exit code or the message of an error, or raise it."""
    _Ending.explained = True
    if isinstance(error, BrokenPipeError) and _stdout_is_closed():
        return 128 + getattr(signal, 'SIGPIPE', 13)
    if not debug:
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            return f'error: {error.filename}: {error.strerror}'
        if isinstance(error, errors):
            return f'error: {error}'
        if debug is False:
            reason = (str(error).strip().splitlines() or [''])[0]
            return f'error: {type(error).__name__}: {reason} (--debug shows the traceback)'
    _Ending.explained = False
    raise error


def _stdout_is_closed() -> bool:
    """Return whether nobody reads the output; then the rest of it is discarded."""
    try:
        fd = sys.stdout.fileno()
        poll = select.poll()
        poll.register(fd, 0)
        closed = bool(poll.poll(0))  # the error of a pipe is always reported
    except (AttributeError, OSError, ValueError):  # Windows; a file of its own
        return False
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    return closed
