"""Workers on a Ray cluster, with the interface of :func:`mofm.utils.processes.run_parallel`.

Plain actors, not ``map_batches`` of Ray Data: that starts an actor again without end if an item
ends its process, e.g. a video at which a decoder crashes, and does not say which one it was.
"""

import argparse
import os
import pickle
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: Workers that may end at an item, e.g. as a machine goes away, before it is given up.
ATTEMPTS = 3


class WorkerEndedError(RuntimeError):
    """The workers of an item, or all that were started, have ended."""


def add_ray_option(parser: argparse._ActionsContainer):
    """Add ``--ray``."""
    parser.add_argument('--ray', nargs='?', const='', metavar='ADDRESS',
                        help='run on a Ray cluster, whose machines have the same paths: auto, '
                        'HOST:PORT or ray://HOST:PORT; without an address on the cores or GPUs '
                        'of this machine')


class _Worker:
    """Actor that calls a function, which is unpickled after the setup."""

    def __init__(self, folder: str, setup: Callable[[], Any], function: bytes):
        os.chdir(folder)
        setup()
        self.function = pickle.loads(function)

    def start(self):
        """Return when the actor runs."""

    def call(self, item) -> tuple[str, Any]:
        """Return the traceback, empty without an error, and the result or error."""
        try:
            return '', self.function(item)
        except Exception as error:
            answer = traceback.format_exc(), error
            try:
                pickle.loads(pickle.dumps(answer))
            except Exception:  # of libraries that a driver may not have
                answer = answer[0], RuntimeError(f'{type(error).__name__}: {error}')
            return answer


def run_on_ray(function: Callable[[Any], Any], items: Sequence, address: str = '',
               setup: Callable[[], Any] = int, gpu: bool = False) -> Iterator[tuple[Any, Any]]:
    """Call a function for each item in actors of a Ray cluster, one per core or GPU.

    An actor has one item at a time, so that none waits in the queue of a slow machine. If it ends,
    e.g. with its machine or for its memory, another one takes its place, and the item is tried
    again after the others.

    Args:
        function (Callable): Picklable, sent to each actor once.
        items (Sequence): Its arguments.
        address (str): Of the cluster; '' for the one of this process or a new one on this machine.
        setup (Callable): Called in each actor first, in the folder of this process, e.g. to import
            plug-ins.
        gpu (bool): One actor per GPU, if the cluster has any.

    Yields:
        tuple: Item and result, in the order of completion; a :class:`WorkerEndedError` for an item
        at which :data:`ATTEMPTS` actors have ended.

    Raises:
        ModuleNotFoundError: If Ray is not installed.
        WorkerEndedError: If as many actors end before they have an item.
        Exception: What the function raises.
    """
    try:
        import ray
    except ImportError:
        raise ModuleNotFoundError('--ray needs Ray: pip install "mofm[cluster]"') from None

    found = ray.is_initialized()
    if not found:
        ray.init(address or None, log_to_driver=False, logging_level='warning')
    try:
        yield from _run(ray, function, items, setup, gpu)
    finally:
        if not found:
            ray.shutdown()


def _run(ray, function, items, setup, gpu):
    """Run items on an initialized cluster, see :func:`run_on_ray`."""
    resources = ray.cluster_resources()
    kind = 'GPU' if gpu and resources.get('GPU') else 'CPU'
    worker = ray.remote(_Worker).options(**{f'num_{kind.lower()}s': 1}, max_restarts=0)
    payload = ray.put(ray.cloudpickle.dumps(function))
    todo = deque((item, 0) for item in items)
    running, failures = {}, 0  # running: worker, item and attempts, of which a start is none

    def start():
        actor = worker.remote(os.getcwd(), setup, payload)
        running[actor.start.remote()] = actor, None, 0

    try:
        for _ in range(min(max(int(resources.get(kind, 0)), 1), len(todo))):
            start()
        while running:
            (task, ), _ = ray.wait([*running], num_returns=1)
            actor, item, attempts = running.pop(task)
            answer, reason = _result(ray, task)
            if not reason:
                failures = 0
                if todo:
                    following, before = todo.popleft()
                    running[actor.call.remote(following)] = actor, following, before + 1
                else:
                    ray.kill(actor)
                if attempts:
                    yield item, _value(*answer)
                continue
            failures += not attempts
            if failures == ATTEMPTS:
                raise WorkerEndedError(f'{failures} workers ended before their first item: '
                                       f'{reason}')
            if attempts == ATTEMPTS:
                yield item, WorkerEndedError(f'{attempts} processes ended at it, the last: '
                                             f'{reason.splitlines()[0]}')
            elif attempts:
                todo.append((item, attempts))
            if todo:
                start()
    finally:
        for actor, _, _ in running.values():
            ray.kill(actor)


def _result(ray, task) -> tuple[Any, str]:
    """Return the result of a task, or why its worker has ended."""
    try:
        return ray.get(task), ''
    except ray.exceptions.RayError as error:
        return None, str(error).strip()


def _value(text: str, value: Any) -> Any:
    """Return the value, or raise the error that the text is the traceback of."""
    if text:
        raise value from RuntimeError(text)
    return value
