"""Peak memory and FLOPs of operations whose cost is known."""

import sys

import numpy as np
import pytest
import torch

from mofm.apis.profiling import Memory, flop_counter, peak_of_tensors

MIB = 2**20


def test_peak_of_tensors_counts_simultaneous_bytes():
    """Two of 4 and 8 MiB at once, then one of 6; what was there before does not count."""
    before = torch.ones(MIB)

    def work():
        small, large = torch.ones(MIB), torch.ones(2 * MIB)
        del small, large
        return before + torch.ones(MIB // 2).sum()

    assert peak_of_tensors(work, 'cpu') == 12 * MIB


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_peak_memory_forgets_freed_memory():
    """Memory that was freed counts until the peak is forgotten."""
    memory = Memory('cpu')
    held = np.ones(64 * MIB, np.uint8)[:1].copy()
    assert 60 * MIB < memory.peak() < 80 * MIB  # the kernel counts pages in batches
    memory.restart()
    assert memory.peak() < 16 * MIB
    assert held.size == 1


def test_flop_counter_counts_fused_attention():
    """Fused attention on the CPU: two products of N x N x d in each head, and their gradients."""
    q, k, v = torch.rand(3, 2, 4, 10, 8, requires_grad=True)  # (batch, heads, N, d)
    with flop_counter() as counter:
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        forward = counter.get_total_flops()
        y.sum().backward()
    assert forward == 2 * 2 * (2 * 4 * 10 * 10 * 8)
    assert counter.get_total_flops() == 3 * forward
