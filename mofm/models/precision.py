"""End of mixed precision: for rendering, logits over the vocabulary, heads and losses."""

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> torch.autocast:
    """Context without autocast on the device of a tensor; its inputs have to be float32."""
    return torch.autocast(tensor.device.type, enabled=False)
