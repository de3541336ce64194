"""Reductions that make the loss of several processes that of one process on all their clips.

DDP and FSDP average the gradients of the processes. That is the gradient of the global batch if
the loss is a mean over equally many items on each process, and if no item is compared with another
one. Where the items are masked cubes, pieces or weights of classes, their number differs
(:func:`global_mean`); where they are compared, all processes need all of them
(:func:`gather_rows`). Both are collective: each process calls them in each iteration.
"""

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor


def global_mean(mean: Tensor, count: int | Tensor) -> Tensor:
    """The share of this process in a mean over the items of all processes.

    Averaged over the W processes it is the mean over all items: ``mean_r W n_r / sum_r n_r``. One
    process gets its mean back, bit for bit.

    Args:
        mean (Tensor): Scalar, mean over the items of this process; any finite number if there are
            none.
        count (int | Tensor): n_r, number or total weight of these items, at least 0.

    Returns:
        Tensor: Scalar.
    """
    if get_world_size() == 1:
        return mean
    count = torch.as_tensor(count, dtype=torch.float32, device=mean.device)
    total = count.clone()
    all_reduce(total)
    # no process has an item: every share is 0
    return mean * (get_world_size() * count / total.clamp(min=torch.finfo(total.dtype).tiny))


class _GatherRows(torch.autograd.Function):
    """Every process gets the rows of all; a row gets the gradients of all processes."""

    @staticmethod
    def forward(ctx, x):
        return torch.cat(all_gather(x.contiguous()))

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad)
        return grad.chunk(get_world_size())[get_rank()]


def gather_rows(x: Tensor) -> Tensor:
    """Rows of all processes, in the order of the ranks, with gradient.

    Args:
        x (Tensor): (B, ...), with the same B on each process.

    Returns:
        Tensor: (W * B, ...); ``x`` itself on one process.
    """
    return x if get_world_size() == 1 else _GatherRows.apply(x)
