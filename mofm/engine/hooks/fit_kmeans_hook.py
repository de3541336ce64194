"""Fitting of the k-means tokenizer."""

from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model
from mofm.registry import HOOKS


@HOOKS.register_module()
class FitKMeansHook(Hook):
    """Call of :meth:`KMeansTokenizer.fit` at the end of the training epoch."""

    priority = 'NORMAL'  # before the checkpoint

    def after_train_epoch(self, runner):
        """Fit the tokenizer."""
        get_model(runner).fit()
