"""Linear layer at the speed of the CPU in float32."""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MIN_FEATURES = 2**18  # below, the copies of the input and of the result cost more than they save


@functools.cache
def _onednn_is_faster() -> bool:
    """Whether PyTorch's matrix products (MKL) do not use the AVX-512 units of this processor."""
    cpuinfo = Path('/proc/cpuinfo')
    return torch.backends.cpu.get_cpu_capability() == 'AVX512' and (
        cpuinfo.exists() and 'AuthenticAMD' in cpuinfo.read_text(encoding='utf-8'))


class _OneDNNLinear(torch.autograd.Function):
    """Linear layer of rows (N, C) by oneDNN."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.linear(x.to_mkldnn(), weight, bias).to_dense()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad
        grads = torch.ops.aten.mkldnn_linear_backward(
            x.to_mkldnn(), grad.contiguous().to_mkldnn(), weight, needed)
        return (grads[0].to_dense() if needed[0] else None, *(
            grad if need else None for grad, need in zip(grads[1:], needed[1:], strict=True)))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute :func:`torch.nn.functional.linear`, large float32 products by oneDNN if faster.

    MKL multiplies with AVX2 on processors of AMD, about half as fast as their AVX-512 units.
    """
    if (torch.compiler.is_compiling() or x.device.type != 'cpu' or x.dtype != torch.float32
            or torch.is_autocast_enabled('cpu') or not torch.backends.mkldnn.enabled
            or x.numel() < _MIN_FEATURES or not _onednn_is_faster()):
        return F.linear(x, weight, bias)
    return _OneDNNLinear.apply(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])


class Linear(nn.Linear):
    """Linear layer that computes :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Transform (..., C) to (..., C')."""
        return linear(x, self.weight, self.bias)
