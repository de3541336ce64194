"""Reductions that make the loss of several processes equal that of the global batch.

DDP and FSDP average the gradients of the processes. That is the gradient of the global batch if
the loss is a mean over equally many items per process, and if items are not compared with each
other. The numbers of masked cubes, pieces or weights of classes differ (:func:`global_mean`);
items that are compared are needed on all processes (:func:`gather_rows`). Both are collective:
each process calls them in each iteration.
"""

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor


def global_mean(mean: Tensor, count: int | Tensor) -> Tensor:
    """Scale a mean over the items of a process to its share in the global mean.

    The average over the W processes is the mean over all items: ``mean_r W n_r / sum_r n_r``. On
    one process the mean is returned unchanged.

    Args:
        mean (Tensor): Scalar, mean over the items of this process; finite even without items.
        count (int | Tensor): n_r, number or total weight of these items, at least 0.

    Returns:
        Tensor: Scalar.
    """
    if get_world_size() == 1:
        return mean
    count = torch.as_tensor(count, dtype=torch.float32, device=mean.device)
    total = count.clone()
    all_reduce(total)
    # without items on any process every share is 0
    return mean * (get_world_size() * count / total.clamp(min=torch.finfo(total.dtype).tiny))


class _GatherRows(torch.autograd.Function):
    """All-gather of rows; a row gets the summed gradients of all processes."""

    @staticmethod
    def forward(ctx, x):
        return torch.cat(all_gather(x.contiguous()))

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad)
        return grad.chunk(get_world_size())[get_rank()]


def gather_rows(x: Tensor) -> Tensor:
    """Gather the rows of all processes in the order of the ranks, with gradient.

    Args:
        x (Tensor): (B, ...), same B on each process.

    Returns:
        Tensor: (W * B, ...); ``x`` itself on one process.
    """
    return x if get_world_size() == 1 else _GatherRows.apply(x)
