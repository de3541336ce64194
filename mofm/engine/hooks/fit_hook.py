"""Fitting of models to the samples that their training steps have collected."""

from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model
from mofm.registry import HOOKS


@HOOKS.register_module()
class FitHook(Hook):
    """Call of the model's ``fit`` at the end of the training epoch, e.g. that of k-means."""

    priority = 'NORMAL'  # before the checkpoint

    def after_train_epoch(self, runner):
        """Fit the model."""
        get_model(runner).fit()
