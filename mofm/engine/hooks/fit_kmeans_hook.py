"""Fit the k-means tokenizer when its cubes are collected."""

from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model
from mofm.registry import HOOKS


@HOOKS.register_module()
class FitKMeansHook(Hook):
    """Call ``fit`` of a :class:`KMeansTokenizer` at the end of the training epoch."""

    priority = 'NORMAL'  # before the checkpoint is written

    def after_train_epoch(self, runner):
        """Fit the tokenizer."""
        get_model(runner).fit()
