"""Multi-head self-attention (arXiv 1706.03762, Sec. 3.2)."""

import torch.nn.functional as F
from torch import Tensor


def attend(qkv: Tensor, num_heads: int, attn_mask: Tensor | None = None) -> Tensor:
    """Compute scaled dot-product attention within sequences.

    Args:
        qkv (Tensor): (N, L, 3 * C), queries, keys and values side by side.
        num_heads (int): Number of heads, a divisor of C.
        attn_mask (Tensor, optional): Broadcast to (N, heads, L, L); True for tokens that can be
            attended to.

    Returns:
        Tensor: (N, L, C).
    """
    n, length, width = qkv.shape
    qkv = qkv.view(n, length, 3, num_heads, -1)
    # unbind of this axis stacks the gradients in place
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # (N, heads, L, d), views
    x = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
    return x.transpose(1, 2).reshape(n, length, width // 3)
