"""Attention pooling head: a learned query attends to the tokens.

On frozen backbones known as attentive probe (V-JEPA, arXiv 2404.08471, Sec. 3.2; CoCa,
arXiv 2205.01917, Sec. 3.2).
"""

import torch
import torch.nn.functional as F
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.models.heads import ActionClsHead
from mofm.registry import MODELS
from mofm.structures import MotionFeatures


@MODELS.register_module()
class AttentionPoolHead(ActionClsHead):
    """Action head on cross-attention of one query over the encoded tokens.

    Args:
        num_classes (int): C.
        in_channels (int): D, the width of tokens. Defaults to 768.
        num_heads (int): Attention heads; divides D. Defaults to 12.
        **kwargs: Arguments of :class:`ActionClsHead`.

    Raises:
        ValueError: If ``in_channels`` is not a multiple of ``num_heads``.
    """

    def __init__(self, num_classes: int, in_channels: int = 768, num_heads: int = 12, **kwargs):
        super().__init__(num_classes, in_channels, **kwargs)
        if in_channels % num_heads:
            raise ValueError(f'in_channels: found {in_channels}, expected a multiple of num_heads='
                             f'{num_heads}')
        self.query = nn.Parameter(torch.zeros(num_heads, 1, in_channels // num_heads))
        self.kv = nn.Linear(in_channels, 2 * in_channels)

    def init_weights(self):
        """Initialize query and projection by a truncated normal, std 0.02."""
        super().init_weights()
        for weight in (self.query, self.kv.weight):
            trunc_normal_(weight, std=0.02)
        nn.init.zeros_(self.kv.bias)

    def forward(self, features: MotionFeatures) -> Tensor:
        """Compute class scores (B, C); raises ValueError for tokens of another width."""
        b, k, d = features.tokens.shape
        if d != self.kv.in_features:  # pooled features of aligned backbones are wider
            raise ValueError(f'in_channels: found {self.kv.in_features}, expected the width of '
                             f'tokens, {d}')
        kv = self.kv(features.tokens).view(b, k, 2, len(self.query), -1)
        keys, values = kv.permute(2, 0, 3, 1, 4)  # (B, heads, K, d)
        pooled = F.scaled_dot_product_attention(
            self.query.expand(b, -1, -1, -1), keys, values,
            attn_mask=features.encoded[:, None, None])  # masks empty cubes
        return super().forward(features._replace(pooled=pooled.reshape(b, d)))
