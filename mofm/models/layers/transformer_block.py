"""Pre-norm transformer block (ViT, arXiv 2010.11929, Sec. 3.1)."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import Packing, attend
from .linear import Linear


class TransformerBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dims: int, num_heads: int, hidden: int, drop: float, drop_path: float,
                 with_cp: bool):
        super().__init__()
        self.num_heads = num_heads
        self.with_cp = with_cp
        self.norm1 = nn.LayerNorm(dims, eps=1e-6)
        self.qkv = Linear(dims, 3 * dims)
        self.proj = Linear(dims, dims)
        self.norm2 = nn.LayerNorm(dims, eps=1e-6)
        self.fc1 = Linear(dims, hidden)
        self.fc2 = Linear(hidden, dims)
        self.drop = nn.Dropout(drop)
        self.drop_path = drop_path

    def _residual(self, y: Tensor, attn_mask: Tensor | Packing | None) -> Tensor:
        """Apply dropout and stochastic depth (arXiv 1603.09382) to a residual branch."""
        y = self.drop(y)
        if self.training and self.drop_path:
            keep = 1 - self.drop_path
            if isinstance(attn_mask, Packing):
                kept = y.new_empty(len(attn_mask.valid), 1).bernoulli_(keep)[attn_mask.clip]
            else:
                kept = y.new_empty(len(y), 1, 1).bernoulli_(keep)
            y = y * kept / keep
        return y

    def forward(self, x: Tensor, attn_mask: Tensor | Packing | None) -> Tensor:
        """Transform (B, N, D), or packed tokens (N, D); see :func:`attend` for the mask."""
        if self.with_cp and self.training:
            return checkpoint(self._forward, x, attn_mask, use_reentrant=False)
        return self._forward(x, attn_mask)

    def _forward(self, x: Tensor, attn_mask: Tensor | Packing | None) -> Tensor:
        y = self.proj(attend(self.qkv(self.norm1(x)), self.num_heads, attn_mask))
        x = x + self._residual(y, attn_mask)
        y = self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x + self._residual(y, attn_mask)
