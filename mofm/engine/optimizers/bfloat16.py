"""Mixed precision in bfloat16, on a GPU and on the CPU."""

from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from mofm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward pass under autocast; weights, gradients and optimizer stay float32.

    bfloat16 has the range of float32, so unlike MMEngine's ``AmpOptimWrapper`` it needs neither
    loss scaling nor a GPU. Rendering, the softmax over the vocabulary, Gumbel noise and losses are
    always computed in float32.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """See :meth:`mmengine.optim.OptimWrapper.optim_context`."""
        with super().optim_context(model), torch.autocast(get_device(), torch.bfloat16):
            yield
