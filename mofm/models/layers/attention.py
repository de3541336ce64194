"""Multi-head self-attention (arXiv 1706.03762, Sec. 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor


class Packing:
    """Layout of the tokens of clips of different lengths in one row, without padding.

    Only attention needs the tokens by clip; everything else computes N tokens instead of B times
    the longest clip.

    Args:
        keep (Tensor): (B, L) bool, the N tokens to pack, at least one per clip.

    Attributes:
        clip (Tensor): (N,) clip of each token.
        valid (Tensor): (B, longest) bool, tokens of the padded clips.
    """

    def __init__(self, keep: Tensor):
        lengths = keep.sum(1)
        self.shape = keep.shape
        self.clip, self._place = keep.nonzero().unbind(1)
        longest = self._longest(lengths)
        self.valid = torch.arange(longest, device=keep.device) < lengths[:, None]
        rank = keep.cumsum(1) - 1
        self._slot = self.clip * longest + rank[self.clip, self._place]

    @staticmethod
    def _longest(lengths: Tensor) -> int:
        """Return the tokens of the longest clip."""
        return int(lengths.max())

    def pack(self, x: Tensor) -> Tensor:
        """Select tokens: (B, L, D) to (N, D)."""
        return x.flatten(0, 1)[self.clip * self.shape[1] + self._place]

    def unpack(self, x: Tensor) -> Tensor:
        """Invert :meth:`pack`; other tokens are 0."""
        out = x.new_zeros(self.shape[0] * self.shape[1], x.shape[1])
        index = self.clip * self.shape[1] + self._place
        return out.index_copy(0, index, x).unflatten(0, self.shape)

    def pad(self, x: Tensor) -> Tensor:
        """Pad to the longest clip: (N, D) to (B, longest, D)."""
        out = x.new_zeros(self.valid.numel(), x.shape[1])
        return out.index_copy(0, self._slot, x).unflatten(0, self.valid.shape)

    def unpad(self, x: Tensor) -> Tensor:
        """Invert :meth:`pad`."""
        return x.flatten(0, 1)[self._slot]


def attend(qkv: Tensor, num_heads: int, attn_mask: Tensor | Packing | None = None) -> Tensor:
    """Compute scaled dot-product attention within sequences.

    Args:
        qkv (Tensor): (N, L, 3 * C), queries, keys and values side by side; (N, 3 * C) if packed.
        num_heads (int): Number of heads, a divisor of C.
        attn_mask (Tensor | Packing, optional): Broadcast to (N, heads, L, L); True for tokens that
            can be attended to. Or the layout of packed tokens.

    Returns:
        Tensor: (N, L, C), or (N, C).
    """
    if isinstance(attn_mask, Packing):
        padded = attend(attn_mask.pad(qkv), num_heads, attn_mask.valid[:, None, None])
        return attn_mask.unpad(padded)
    n, length, width = qkv.shape
    qkv = qkv.view(n, length, 3, num_heads, -1)
    # unbind of this axis stacks the gradients in place
    q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # (N, heads, L, d), views
    x = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
    return x.transpose(1, 2).reshape(n, length, width // 3)
