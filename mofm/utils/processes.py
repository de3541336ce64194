"""Processes that end with their parent, whatever ends it."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_with_parent(parent: int):
    """End this process with its parent, also after ``kill -9``; only Linux offers this.

    Args:
        parent (int): Process ID of the parent, which may have ended before the call.
    """
    if sys.platform == 'linux':
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def end_with_main_process():
    """End this process of :mod:`multiprocessing` with the one that has started it.

    With the start method ``forkserver`` that is not the parent, but the server is.
    """
    main = multiprocessing.parent_process()
    if sys.platform == 'linux' and main.pid == os.getppid():
        end_with_parent(main.pid)
    else:
        threading.Thread(target=_wait_for_end, args=(main.sentinel, ), daemon=True).start()


def _wait_for_end(sentinel: int):
    wait([sentinel])
    os._exit(1)


def block(signals: Iterable[signal.Signals]):
    """Block signals in this thread, also for the processes that it starts until they unblock them.

    Windows has no such mask.
    """
    if hasattr(signal, 'pthread_sigmask'):
        if multiprocessing.get_start_method() != 'fork':
            resource_tracker.ensure_running()  # its start unblocks them
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)


def unblock(signals: Iterable[signal.Signals]):
    """Unblock signals; those that came in between are handled now."""
    if hasattr(signal, 'pthread_sigmask'):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def run_parallel(function: Callable[[Any], Any], items: Iterable,
                 workers: int) -> Iterator[tuple[Any, Any]]:
    """Call a function for each item in several processes.

    The processes end with this one, when the iterator is closed, and at the first error; Ctrl-C is
    for this process alone.

    Args:
        function (Callable): Picklable, sent to each process once.
        items (Iterable): Its arguments.
        workers (int): Number of processes.

    Yields:
        tuple: Item and result, in the order of completion.

    Raises:
        RuntimeError: If a process is killed, e.g. for its memory.
    """
    context = multiprocessing.get_context()
    todo, running, current = iter(items), {}, {}

    def send_next(pipe):
        for item in todo:
            current[pipe] = item
            with suppress(BrokenPipeError):  # the process is dead, see below
                pipe.send(item)
            return

    try:
        block(_SIGNALS)  # until the process has handlers of its own
        try:
            for _ in range(workers):
                ours, theirs = context.Pipe()
                running[ours] = context.Process(target=_work, args=(theirs, ), daemon=True)
                running[ours].start()
                theirs.close()  # a dead process is the end of the file
        finally:
            unblock(_SIGNALS)
        for pipe in running:
            with suppress(BrokenPipeError):
                pipe.send(function)
            send_next(pipe)
        while current:
            for pipe in wait(list(current)):
                try:
                    error, value = pipe.recv()
                except (EOFError, ConnectionResetError):
                    running[pipe].join()
                    raise RuntimeError(
                        f'a process ended with exit code {running[pipe].exitcode} at '
                        f'{str(current[pipe])[:100]}; if memory is short, use fewer '
                        'processes') from None
                if error:
                    raise value from RuntimeError(error)
                item = current.pop(pipe)
                send_next(pipe)
                yield item, value
    finally:
        for process in running.values():
            process.kill()
        for pipe, process in running.items():
            process.join()
            pipe.close()


def _work(pipe: Connection):
    """Call the function for the received items until the pipe or the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unblock(_SIGNALS)
    end_with_main_process()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        function = pipe.recv()
        while True:
            item = pipe.recv()
            try:
                answer = '', function(item)
            except BaseException as error:
                answer = traceback.format_exc(), error
                try:
                    pickle.loads(pickle.dumps(answer))
                except Exception:
                    answer = answer[0], RuntimeError(f'{type(error).__name__}: {error}')
            pipe.send(answer)
