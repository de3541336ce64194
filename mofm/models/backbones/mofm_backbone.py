"""MoFMBackbone: a ViT over thermal cubes (MoFM, Sec. 4.3; ViT, arXiv 2010.11929).

Cubes are embedded independently, so a masked cube cannot leak through its neighbors. Most cubes
are empty and their embedding is constant: only occupied ones are computed.
"""

import math
import re
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import CubeGrid, MotionFeatures, ThermalCubes
from mofm.utils.checks import is_int, require

from ..init_cfg import load_init_cfg
from ..layers.attention import Packing
from ..layers.conv3d import Conv3d
from ..layers.keypoint_align import KeypointAlign
from ..layers.linear import Linear
from ..layers.transformer_block import TransformerBlock
from .base import BaseBackbone


@MODELS.register_module()
class LinearCubeEmbed(Linear):
    """Linear patch embedding of a cube, as in BEiT (arXiv 2106.08254).

    Args:
        num_joints (int): J.
        grid (CubeGrid): Geometry of the cubes.
        embed_dims (int): D.
    """

    def __init__(self, num_joints: int, grid: CubeGrid, embed_dims: int):
        super().__init__(num_joints * grid.num_frames * grid.patch**2, embed_dims)

    def forward(self, cubes: Tensor) -> Tensor:
        """Embed cubes: (N, J, F, p, p) to (N, D)."""
        return super().forward(cubes.flatten(1))


class ResidualBlock3D(nn.Module):
    """Residual block: conv-norm-ReLU-conv-norm with a strided 1x1x1 shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: tuple):
        super().__init__()
        self.conv1 = Conv3d(in_channels, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv2 = Conv3d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(8, channels)
        self.shortcut = Conv3d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (N, C, T, H, W)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


@MODELS.register_module()
class ConvCubeEmbed(nn.Module):
    """3D residual blocks per cube and a projection (MoFM, Sec. 4.3).

    Uses GroupNorm of 8 groups, because empty cubes would dominate batch statistics.

    Args:
        num_joints (int): J.
        grid (CubeGrid): Geometry of the cubes.
        embed_dims (int): D.
        channels (tuple[int]): Channels of each block, multiples of 8. Defaults to (64, 128).
        strides (tuple[tuple]): Strides of each block in time, rows and columns. Defaults to
            ((4, 1, 1), (3, 2, 2)).

    Raises:
        ValueError: If channels and strides do not match.
    """

    def __init__(self,
                 num_joints: int,
                 grid: CubeGrid,
                 embed_dims: int,
                 channels: tuple = (64, 128),
                 strides: tuple = ((4, 1, 1), (3, 2, 2))):
        super().__init__()
        require(isinstance(strides, (tuple, list)) and all(
            isinstance(stride, (tuple, list)) and len(stride) == 3
            and all(is_int(n, 1, 2**10) for n in stride) for stride in strides),
                self, 'strides', strides, 'three integers from 1 to 1024 for each block')
        require(isinstance(channels, (tuple, list)) and len(channels) == len(strides) > 0
                and all(is_int(c, 8) and c % 8 == 0 for c in channels),
                self, 'channels', channels,
                f'multiples of 8, one for each of the {len(strides)} strides {tuple(strides)}')
        self.blocks = nn.Sequential(*(
            ResidualBlock3D(before, after, tuple(stride)) for before, after, stride in zip(
                (num_joints, *channels), channels, strides, strict=False)))
        size = [grid.num_frames, grid.patch, grid.patch]
        for stride in strides:
            size = [math.ceil(n / s) for n, s in zip(size, stride, strict=True)]
        self.proj = Linear(channels[-1] * math.prod(size), embed_dims)

    def forward(self, cubes: Tensor) -> Tensor:
        """Embed cubes: (N, J, F, p, p) to (N, D)."""
        return self.proj(self.blocks(cubes).flatten(1))


@MODELS.register_module()
class MoFMBackbone(BaseBackbone):
    """ViT over thermal cubes.

    Args:
        num_joints (int): J. Defaults to 17.
        num_frames, canvas, patch (int): Geometry, see :class:`CubeGrid`.
        embed_dims (int): D. Defaults to 768.
        depth, num_heads (int): Number of blocks and attention heads. Default to 12.
        mlp_ratio (float): Hidden width of the feed-forward network over D. Defaults to 4.
        embed (dict): Cube embedding. Defaults to ``dict(type='ConvCubeEmbed')``.
        max_tokens (int): Rows of the learned position table, extended to the number of cubes.
            Defaults to 384.
        tokens (str): 'all' cubes attend, or only the 'occupied' (and masked) ones, about a third
            of the FLOPs. Defaults to 'all'.
        segments (int): S, equal parts of the frames of a clip. Each has cubes of its own, in the
            order of time, so that K is S times the cubes of the canvas. Defaults to 1, cubes over
            all frames as in the paper.
        align (dict, optional): Keypoint-aligned features, arguments of :class:`KeypointAlign`,
            instead of the mean over all tokens.
        with_cls (bool): Pool by a class token instead of the mean. Defaults to False.
        drop_rate, drop_path_rate (float): Dropout, and stochastic depth of the last block
            (increasing linearly). Default to 0.
        with_cp (bool): Activation checkpointing: the backward pass recomputes each block to save
            memory. Defaults to False.
        frozen (bool): No gradients and no dropout, for linear probes. Defaults to False.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``,
            see :class:`mofm.hub.partial_loading.PretrainedInit`.
    """

    _packing = Packing

    def __init__(self,
                 num_joints: int = 17,
                 num_frames: int = 48,
                 canvas: int = 72,
                 patch: int = 4,
                 embed_dims: int = 768,
                 depth: int = 12,
                 num_heads: int = 12,
                 mlp_ratio: float = 4,
                 embed: dict | None = None,
                 max_tokens: int = 384,
                 tokens: str = 'all',
                 segments: int = 1,
                 align: dict | None = None,
                 with_cls: bool = False,
                 drop_rate: float = 0.,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 frozen: bool = False,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)
        self.grid = CubeGrid(num_frames, canvas, patch)
        self.num_joints = num_joints
        self.embed_dims = embed_dims
        if num_frames % segments:
            raise ValueError(f'segments: found {segments}, expected a divisor of num_frames='
                             f'{num_frames}')
        self.segments = segments
        max_tokens = max(max_tokens, self.grid.num_cubes + with_cls)
        if tokens not in ('all', 'occupied'):
            raise ValueError(f"tokens: found '{tokens}', expected 'all' or 'occupied'")
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims: found {embed_dims}, expected a multiple of num_heads='
                             f'{num_heads}')
        self.tokens = tokens
        self.embed = MODELS.build(
            dict(dict(type='ConvCubeEmbed') if embed is None else embed,
                 num_joints=num_joints, embed_dims=embed_dims,
                 grid=replace(self.grid, num_frames=num_frames // segments)))
        self.pos_embed = nn.Parameter(torch.zeros(1, max_tokens, embed_dims))
        self.mask_token = nn.Parameter(torch.zeros(embed_dims))
        self.segment_embed = nn.Parameter(torch.zeros(segments, 1, embed_dims)) \
            if segments > 1 else None
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims)) if with_cls else None
        rates = torch.linspace(0, drop_path_rate, depth, device='cpu').tolist()
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dims, num_heads, int(mlp_ratio * embed_dims), drop_rate, rate,
                             with_cp)
            for rate in rates)
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.align = align and KeypointAlign(depth=depth, **align)
        if frozen:
            self.freeze()

    def init_weights(self):
        """Initialize by a truncated normal (std 0.02) as in BEiT, and by ``init_cfg``."""
        if self.init_cfg and not self.init_cfg.get('partial'):
            load_init_cfg(self)
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for parameter in (self.pos_embed, self.mask_token, self.segment_embed, self.cls_token):
            if parameter is not None:
                trunc_normal_(parameter, std=0.02)
        if self.init_cfg:
            load_init_cfg(self)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """See :class:`BaseBackbone`; layer i is the i-th block."""
        last = len(self.blocks) + 1
        if match := re.match(rf'{re.escape(prefix)}blocks\.(\d+)\.', param_name):
            return int(match[1]) + 1, last + 1
        embedding = tuple(prefix + name for name in
                          ('embed.', 'pos_embed', 'mask_token', 'segment_embed', 'cls_token'))
        return 0 if param_name.startswith(embedding) else last, last + 1

    def embed_cubes(self, inputs: ThermalCubes, visible: Tensor) -> Tensor:
        """Embed all cubes, computing only the visible occupied ones.

        Args:
            inputs (ThermalCubes): B clips.
            visible (Tensor): (B, K) bool, cubes that may be read.

        Returns:
            Tensor: (B, K, D); cubes that are not visible get the embedding of an empty cube.
        """
        select = inputs.occupied() & visible
        cubes = inputs.cubes(select)
        # the first row is an empty cube
        cubes = torch.cat((cubes.new_zeros(1, *cubes.shape[1:]), cubes))
        embedded = self.embed(cubes)
        row = select.flatten().cumsum(0) * select.flatten()
        return embedded[row].view(*select.shape, -1)

    def forward(self,
                inputs: ThermalCubes,
                mask: Tensor | None = None,
                order: Tensor | None = None) -> MotionFeatures:
        """Encode a batch of clips.

        Args:
            inputs (ThermalCubes): B clips with the geometry of the backbone.
            mask (Tensor, optional): (B, K) bool, cubes replaced by the mask embedding.
            order (Tensor, optional): (B, K) long, cube at every position, to shuffle a clip before
                positions are added.

        Returns:
            MotionFeatures: Tokens (B, K, D), pooled features (B, D), encoded cubes (B, K).

        Raises:
            ValueError: If the clips have another geometry or number of joints.
        """
        if inputs.grid != self.grid or inputs.num_joints != self.num_joints:
            raise ValueError(f'clips: found {inputs.num_joints} joints on {inputs.grid}, expected '
                             f'{self.num_joints} joints on {self.grid}; set the same num_frames, '
                             'canvas and patch in backbone and data_preprocessor')
        occupied = inputs.occupied(self.segments)  # (B, K)
        if mask is None:
            mask = torch.zeros_like(occupied)
        cut = inputs.cut(self.segments)
        x = self.embed_cubes(cut, ~mask.view(-1, self.grid.num_cubes)).view(*mask.shape, -1)
        x = torch.where(mask[..., None], self.mask_token.to(x.dtype), x)
        shown = occupied | mask
        if order is not None:
            x = x.gather(1, order[..., None].expand_as(x))
            shown = shown.gather(1, order)
        x = x + self._positions()

        levels: list[Tensor] = []
        if self.tokens == 'all':
            features = self.attend(x, torch.ones_like(mask), False, levels)
        else:
            shown[:, 0] |= ~shown.any(1)  # at least one token per clip
            features = self._encode(x, shown, levels)
        if self.align is None or order is not None:
            return features
        return self.align(features, levels, inputs.shares(self.align.parts, self.segments))

    def _positions(self) -> Tensor:
        """Return the positions of all cubes (1, K, D)."""
        first = int(self.cls_token is not None)
        positions = self.pos_embed[:, first:first + self.grid.num_cubes]
        if self.segment_embed is None:
            return positions
        return (positions + self.segment_embed).flatten(0, 1)[None]

    def _encode(self, x: Tensor, keep: Tensor, levels: list) -> MotionFeatures:
        """Run the blocks only on the kept tokens of x (B, K, D), without padding."""
        x, with_cls = self._add_cls(x), self.cls_token is not None
        packing = self._packing(torch.cat((keep[:, :1] | True, keep), 1) if with_cls else keep)
        rows = packing.pack(x)
        for number, block in enumerate(self.blocks, 1):
            rows = block(rows, packing)
            if self.align and number in self.align.blocks:
                levels.append(packing.unpack(rows)[:, int(with_cls):])
        tokens = packing.unpack(self.norm(rows))
        if with_cls:
            return MotionFeatures(tokens[:, 1:], tokens[:, 0], keep)
        return MotionFeatures(tokens, tokens.sum(1) / keep.sum(1, keepdim=True), keep)

    def _add_cls(self, x: Tensor) -> Tensor:
        """Prepend the class token, if any, to tokens (B, L, D)."""
        if self.cls_token is None:
            return x
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1)
        return torch.cat((cls, x), 1)

    def attend(self, x: Tensor, valid: Tensor, masked: bool = True,
               levels: list | None = None) -> MotionFeatures:
        """Run the blocks on L tokens; no shape depends on the values.

        Args:
            x (Tensor): (B, L, D) with positions.
            valid (Tensor): (B, L) bool, tokens that can be attended to, at least one per clip.
            masked (bool): False if all are valid, which is faster. Defaults to True.
            levels (list, optional): Gets the outputs (B, L, D) of the blocks of ``align``.
        """
        x = self._add_cls(x)
        attn_mask = None
        if masked:
            first = valid.new_ones(x.shape[0], x.shape[1] - valid.shape[1])
            attn_mask = torch.cat((first, valid), 1)[:, None, None]
        for number, block in enumerate(self.blocks, 1):
            x = block(x, attn_mask)
            if self.align and levels is not None and number in self.align.blocks:
                levels.append(x[:, int(self.cls_token is not None):])
        x = self.norm(x)
        if self.cls_token is not None:
            pooled, x = x[:, 0], x[:, 1:]
        x = x * valid[..., None]
        if self.cls_token is None:
            pooled = x.sum(1) / valid.sum(1, keepdim=True)
        return MotionFeatures(x, pooled, valid)
