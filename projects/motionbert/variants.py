"""Designs that DSTformer is compared with (MotionBERT, arXiv 2210.06551, Table 6)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.utils.checks import require

from .dstformer import MLP, Attention, DSTformer, fuse


class SubLayer(nn.Module):
    """Attention over the joints (s) or the frames (t), or an MLP (m), with norm and residual."""

    def __init__(self, kind: str, dims: int, num_heads: int, mlp_ratio: float):
        super().__init__()
        self.kind = kind
        self.norm = nn.LayerNorm(dims, eps=1e-6)
        self.layer = MLP(dims, int(dims * mlp_ratio)) if kind == 'm' else Attention(
            dims, num_heads)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (B, T, J, C) to the same."""
        y = x.transpose(1, 2) if self.kind == 't' else x
        out = self.layer(self.norm(y).flatten(0, 1)).view(y.shape)
        return x + (out.transpose(1, 2) if self.kind == 't' else out)


@MODELS.register_module()
class DSTformerVariant(DSTformer):
    """DSTformer with other streams or another fusion; parameters have other names.

    Args:
        streams (Sequence[str]): Sub-layers of each stream of a level in their order: ``s`` and
            ``t``, attention over joints and frames, ``m``, an MLP. Defaults to
            ``('smtm', 'tmsm')``, those of DSTformer.
        adaptive (bool): Fuse two streams by weights of each joint and frame, instead of their
            mean. Defaults to True.
        embed_dims, depth, num_heads, mlp_ratio, init_std, frozen, **kwargs: See
            :class:`DSTformer`.

    Raises:
        ValueError: If there are not one or two streams, or a sub-layer is unknown.
    """

    def __init__(self, streams: Sequence[str] = ('smtm', 'tmsm'), adaptive: bool = True,
                 embed_dims: int = 512, depth: int = 5, num_heads: int = 8, mlp_ratio: float = 2,
                 init_std: float = 0.02, frozen: bool = False, **kwargs):
        require(len(streams) in (1, 2) and all(s and set(s) <= set('stm') for s in streams), self,
                'streams', streams, "one or two texts of s, t and m, e.g. ('smtm', 'tmsm')")
        super().__init__(embed_dims, depth=0, num_heads=num_heads, init_std=init_std, **kwargs)
        self.levels = nn.ModuleList(nn.ModuleList(nn.Sequential(*(
            SubLayer(kind, embed_dims, num_heads, mlp_ratio) for kind in stream))
            for stream in streams) for _ in range(depth))
        self.ts_attn = nn.ModuleList(nn.Linear(2 * embed_dims, 2) for _ in range(
            depth if adaptive and len(streams) == 2 else 0))
        self._init(init_std)
        if frozen:
            self.freeze()
            self.head.requires_grad_(True)

    def transform(self, x: Tensor) -> Tensor:
        """See :class:`DSTformer`."""
        for i, level in enumerate(self.levels):
            streams = [stream(x) for stream in level]
            x = fuse(self.ts_attn[i], *streams) if self.ts_attn else torch.stack(streams).mean(0)
        return x
