"""Early stopping that survives a resumption."""

from mmengine.hooks import EarlyStoppingHook as _EarlyStoppingHook
from mmengine.registry import HOOKS


@HOOKS.register_module(force=True)  # in place of MMEngine's
class EarlyStoppingHook(_EarlyStoppingHook):
    """MMEngine's ``EarlyStoppingHook`` whose patience and best score are in the checkpoint.

    With another metric or rule they start anew.
    """

    def state_dict(self) -> dict:
        """Return the best score, and the validations since."""
        return dict(monitor=self.monitor, rule=self.rule, wait_count=self.wait_count,
                    best_score=float(self.best_score))

    def load_state_dict(self, state: dict):
        """Restore the state of :meth:`state_dict`."""
        if (state['monitor'], state['rule']) == (self.monitor, self.rule):
            self.wait_count, self.best_score = state['wait_count'], state['best_score']
