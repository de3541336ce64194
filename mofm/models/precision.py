"""Full precision for rendering, logits over the vocabulary, heads and losses."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> torch.autocast:
    """Disable autocast on the device of a tensor; inputs have to be float32."""
    return torch.autocast(tensor.device.type, enabled=False)
