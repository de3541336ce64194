"""Checkpoint on preemption (SIGTERM)."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import all_reduce, get_world_size, is_main_process
from mmengine.fileio import put_text
from mmengine.hooks import Hook

from mofm.engine.runner.train_loop import ResumableTrainLoop
from mofm.registry import HOOKS
from mofm.utils.processes import block, end_with_main_process, unblock


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Checkpoint ``preempted.pth`` and end of the training after SIGTERM.

    The checkpoint is written after an iteration that updates the weights; with accumulated
    gradients that is the end of a cycle, as a checkpoint has no gradients. A running validation
    is finished, and one more iteration run.

    Args:
        interval (int): Iterations between checks of several processes whether one of them has
            received the signal, so that all stop at the same iteration; a check waits for the
            GPU. Defaults to 10. A single process checks after each iteration.

    Raises:
        ValueError: If ``interval`` is not positive.
        TypeError: At the start of a training with another loop than :class:`ResumableTrainLoop`.
    """

    priority = 'VERY_LOW'  # after schedules, weight averaging and logging

    _protects = False  # the start of workers, while training

    def __init__(self, interval: int = 10):
        if interval < 1:
            raise ValueError(f'interval: found {interval}, expected at least 1')
        self.interval = interval

    def before_train(self, runner):
        """Listen to SIGTERM."""
        if not isinstance(runner.train_loop, ResumableTrainLoop):
            raise TypeError(f'train_cfg.type: found {type(runner.train_loop).__name__}, expected '
                            'ResumableTrainLoop, as others cannot stop within an epoch; use it or '
                            'remove PreemptionHook from custom_hooks')
        self._signaled = False
        self._iters_since_sync = 0
        self._listens = threading.current_thread() is threading.main_thread()
        if self._listens:
            self._handler = signal.signal(signal.SIGTERM, self._set_signaled)
        self._protects = self._listens and hasattr(signal, 'sigwaitinfo')  # not on macOS
        if self._protects:
            for loop in filter(None, (runner.train_loop, runner.val_loop)):
                loader = loop.dataloader
                loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)

    def _set_signaled(self, signum, frame):
        self._signaled = True

    def before_train_epoch(self, runner):
        """Block SIGTERM while workers start.

        A process of the start method ``spawn`` that ends before it has read its data set leaves
        the main process waiting in the pipe for ever.
        """
        self._mask(block)

    def before_val_epoch(self, runner):
        """See :meth:`before_train_epoch`."""
        self._mask(block)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None):
        """Unblock SIGTERM, as the workers have started."""
        self._mask(unblock)

    def before_val_iter(self, runner, batch_idx: int, data_batch=None):
        """See :meth:`before_train_iter`."""
        self._mask(unblock)

    def _mask(self, change: Callable):
        if self._protects:
            change([signal.SIGTERM])

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None):
        """Save and stop if a process has received the signal."""
        self._iters_since_sync += 1
        if (not runner.optim_wrapper.should_update()
                or self._iters_since_sync < self.interval and get_world_size() > 1):
            return
        self._iters_since_sync = 0
        signaled = torch.tensor(int(self._signaled))
        all_reduce(signaled, 'max')
        if signaled:
            self._save(runner)
            runner.train_loop.stop_training = True

    def _save(self, runner):
        runner.save_checkpoint(runner.work_dir, 'preempted.pth', by_epoch=False)
        path = Path(runner.work_dir) / 'preempted.pth'
        if is_main_process():
            put_text(str(path), path.with_name('last_checkpoint'))
        runner.logger.info(f'SIGTERM: stopped after iteration {runner.iter + 1} of '
                           f'{runner.max_iters} and saved {path}; the same command with --resume '
                           'continues')

    def after_train(self, runner):
        """Restore the previous handler."""
        self._mask(unblock)
        self._protects = False
        if self._listens:
            signal.signal(signal.SIGTERM, self._handler or signal.SIG_DFL)


def _start_worker(init_fn, worker_id: int):
    """Start a worker that ends with the main process, and ignores the SIGTERM of others.

    Slurm and ``timeout`` send the signal to every process of a job, and a lost worker is an error.
    The main process ends its workers by the same signal, so they cannot ignore it completely.
    """
    block([signal.SIGTERM])  # first, for the threads
    end_with_main_process()
    threading.Thread(target=_wait_for_main_process, daemon=True).start()
    if init_fn is not None:
        init_fn(worker_id)


def _wait_for_main_process():
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != multiprocessing.parent_process().pid:
        pass
    os._exit(0)
