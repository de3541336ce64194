"""Progress bar of a training or a test."""

from typing import TextIO

from mmengine.hooks import Hook
from tqdm import tqdm


class ProgressHook(Hook):
    """Progress bar on the terminal, while MMEngine writes its log to files.

    Args:
        title (str): Text before the bar.
        terminal (TextIO): Stream of the bar.
    """

    priority = 'VERY_LOW'

    def __init__(self, title: str, terminal: TextIO):
        self.title = title
        self.terminal = terminal
        self.bar = None

    def _open(self, total: int):
        self.bar = tqdm(total=total, desc=self.title, file=self.terminal, unit='it',
                        dynamic_ncols=True, mininterval=0.5)

    def before_train(self, runner):
        """Open the bar."""
        self._open(runner.max_iters)

    def before_test(self, runner):
        """Open the bar."""
        self._open(len(runner.test_dataloader))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Advance the bar by one step."""
        loss = (outputs or {}).get('loss')
        if loss is not None:
            self.bar.set_postfix_str(f'loss {float(loss):.3f}', refresh=False)
        self.bar.update()

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Advance the bar by one step."""
        self.bar.update()

    def before_val(self, runner):
        """Show that held-out clips are evaluated."""
        self.bar.set_postfix_str('held-out clips')

    def after_val(self, runner):
        """Clear the note about held-out clips."""
        self.bar.set_postfix_str('')

    def after_train(self, runner):
        """Close the bar."""
        self.bar.close()

    after_test = after_train
