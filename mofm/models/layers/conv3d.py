"""3D convolution with fast products and correct gradients in bfloat16 on the CPU."""

import torch
from torch import Tensor, nn

from ..precision import full_precision


class Conv3d(nn.Conv3d):
    """3D convolution; channels last on the CPU, and float32 under autocast there.

    With channels last, oneDNN computes few channels, such as those of the joints, twice as fast.

    On CPUs with AVX512-BF16, torch 2.13 computes wrong and infinite bfloat16 gradients for the
    weights of a convolution over two frames.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, H, W) to (N, C', T', H', W')."""
        if x.device.type != 'cpu' or torch.compiler.is_compiling():
            return super().forward(x)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        if not torch.is_autocast_enabled('cpu'):
            return super().forward(x)
        with full_precision(x):
            return super().forward(x.float())
