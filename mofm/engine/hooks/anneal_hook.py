"""Schedule of a number of the model, e.g. a temperature or the weight of a loss."""

import math

from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model
from mofm.registry import HOOKS


@HOOKS.register_module()
class AnnealHook(Hook):
    """Cosine from one value to another, every iteration.

    Args:
        attribute (str): Dotted path below the model, e.g. 'tau' or 'criterion.beta'.
        start, end (float): First and last value.
        iters (int, optional): Iterations until ``end`` is reached; the value stays there.
            Defaults to the whole training.

    Raises:
        AttributeError: At the first iteration, if the model has no such attribute.
    """

    def __init__(self, attribute: str, start: float, end: float, iters: int | None = None):
        if iters is not None and iters < 1:
            raise ValueError(f'iters: found {iters}, expected a positive number')
        *self.path, self.name = attribute.split('.')
        self.start = start
        self.end = end
        self.iters = iters

    def value(self, step: int, total: int) -> float:
        """Value at iteration ``step`` of ``total``."""
        progress = min(step / max(total - 1, 1), 1.)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2

    def before_train_iter(self, runner, batch_idx: int, data_batch=None):
        """Set the value of this iteration."""
        owner = get_model(runner)
        for name in self.path:
            owner = getattr(owner, name)
        getattr(owner, self.name)  # a misspelled name shall not create a new attribute
        setattr(owner, self.name, self.value(runner.iter, self.iters or runner.max_iters))
