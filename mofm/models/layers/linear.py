"""Linear layer at the speed of the CPU in float32."""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MIN_PRODUCTS = 2**22  # multiplications; below, a call costs more than it saves


@functools.cache
def _onednn_is_faster() -> bool:
    """Whether PyTorch's matrix products (MKL) do not use the AVX-512 units of this processor."""
    if (torch.backends.cpu.get_cpu_capability() != 'AVX512'
            or not hasattr(torch.ops.mkldnn, '_linear_pointwise')):
        return False
    cpuinfo = Path('/proc/cpuinfo')
    return cpuinfo.exists() and 'AuthenticAMD' in cpuinfo.read_text(encoding='utf-8')


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute (N, C) x (C', C) by oneDNN, without copies to its layout."""
    return torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001  the operator has no other name
        x, weight, bias, 'none', [], '')


class _OneDNNLinear(torch.autograd.Function):
    """Linear layer of rows (N, C) by oneDNN."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        x = x.contiguous()  # products of expanded tensors are not optimized
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        grad = grad.contiguous()
        return (_product(grad, weight.t()) if of_x else None,
                _product(grad.t(), x.t()) if of_weight else None,
                grad.sum(0) if of_bias else None)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute :func:`torch.nn.functional.linear`, large float32 products by oneDNN if faster.

    MKL multiplies with AVX2 on processors of AMD, about half as fast as their AVX-512 units.
    """
    if (torch.compiler.is_compiling() or x.device.type != 'cpu' or x.dtype != torch.float32
            or torch.is_autocast_enabled('cpu') or not torch.backends.mkldnn.enabled
            or x.numel() * len(weight) < _MIN_PRODUCTS or not _onednn_is_faster()):
        return F.linear(x, weight, bias)
    return _OneDNNLinear.apply(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])


class Linear(nn.Linear):
    """Linear layer that computes :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Transform (..., C) to (..., C')."""
        return linear(x, self.weight, self.bias)
