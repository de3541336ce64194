"""Schedule of an attribute of the model, e.g. a temperature or a loss weight."""

import math

from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model
from mofm.registry import HOOKS


@HOOKS.register_module()
class AnnealHook(Hook):
    """Cosine schedule of an attribute from one value to another, per iteration.

    Args:
        attribute (str): Dotted path in the model, e.g. 'tau' or 'criterion.beta'.
        start, end (float): First and last value.
        iters (int, optional): Iterations until ``end``, which is kept from then on. Defaults to
            the whole training.

    Raises:
        AttributeError: At the first iteration, if the model lacks the attribute.
    """

    def __init__(self, attribute: str, start: float, end: float, iters: int | None = None):
        if iters is not None and iters < 1:
            raise ValueError(f'iters: found {iters}, expected a positive number')
        *self.path, self.name = attribute.split('.')
        self.start = start
        self.end = end
        self.iters = iters

    def value(self, step: int, total: int) -> float:
        """Compute the value at iteration ``step`` of ``total``."""
        progress = min(step / max(total - 1, 1), 1.)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2

    def before_train_iter(self, runner, batch_idx: int, data_batch=None):
        """Set the value of this iteration."""
        owner = get_model(runner)
        for name in self.path:
            owner = getattr(owner, name)
        getattr(owner, self.name)  # fail instead of creating a new attribute
        setattr(owner, self.name, self.value(runner.iter, self.iters or runner.max_iters))
