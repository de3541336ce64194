"""3D convolution with fast products and correct gradients in bfloat16 on the CPU."""

import torch
from torch import Tensor, nn

from ..precision import full_precision


class Conv3d(nn.Conv3d):
    """3D convolution; on the CPU gradients in float32, and channels last with AVX-512.

    With channels last, oneDNN computes few channels, such as those of the joints, twice as fast;
    without AVX-512, training would be slower.

    On CPUs with AVX512-BF16, torch 2.13 computes wrong and infinite bfloat16 gradients for the
    weights of a convolution over two frames. Without gradients, such as those of the teacher in
    pre-training, autocast applies.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, T, H, W) to (N, C', T', H', W')."""
        if x.device.type != 'cpu' or torch.compiler.is_compiling():
            return super().forward(x)
        if torch.backends.cpu.get_cpu_capability() == 'AVX512':
            x = x.contiguous(memory_format=torch.channels_last_3d)
        if not (torch.is_autocast_enabled('cpu') and torch.is_grad_enabled()):
            return super().forward(x)
        with full_precision(x):
            return super().forward(x.float())
