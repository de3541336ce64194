"""Early stopping that survives a resumption."""

from mmengine.hooks import EarlyStoppingHook as _EarlyStoppingHook
from mmengine.registry import HOOKS


@HOOKS.register_module(force=True)  # in place of MMEngine's
class EarlyStoppingHook(_EarlyStoppingHook):
    """MMEngine's ``EarlyStoppingHook`` whose patience and best score are in the checkpoint.

    With another metric or rule they start anew.
    """

    def after_val_epoch(self, runner, metrics: dict):
        """Stop the training if it is due.

        Raises:
            ValueError: If there is no such metric; MMEngine would go on without stopping.
        """
        if self.monitor not in metrics:
            raise ValueError(f'EarlyStoppingHook.monitor: found no metric {self.monitor!r}, '
                             f'expected one of {", ".join(sorted(metrics))}')
        super().after_val_epoch(runner, metrics)

    def state_dict(self) -> dict:
        """Return the best score, and the validations since."""
        return dict(monitor=self.monitor, rule=self.rule, wait_count=self.wait_count,
                    best_score=float(self.best_score))

    def load_state_dict(self, state: dict):
        """Restore the state of :meth:`state_dict`."""
        if (state['monitor'], state['rule']) == (self.monitor, self.rule):
            self.wait_count, self.best_score = state['wait_count'], state['best_score']
