"""Hook that pauses a training until a signal arrives."""

import time

from mmengine.hooks import Hook

from mofm.registry import HOOKS


@HOOKS.register_module()
class PauseHook(Hook):
    """Wait two seconds after an iteration, when it is in the log."""

    priority = 'LOW'

    def __init__(self, after: int):
        self.after = after

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Wait."""
        if runner.iter + 1 == self.after:
            time.sleep(2)
