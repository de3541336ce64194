"""DSTformer, the dual-stream transformer of MotionBERT (arXiv 2210.06551, Sec. 3.2).

Pre-norm as in the released code; the paper's text has post-norm. Parameters carry the names of the
released checkpoints.
"""

import re

import torch
import torch.nn.functional as F
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.models.backbones.base import BaseBackbone
from mofm.models.layers.attention import attend
from mofm.models.layers.linear import Linear
from mofm.registry import MODELS
from mofm.structures import MotionFeatures

#: J, joints of the layout ``h36m17``.
NUM_JOINTS = 17


class Attention(nn.Module):
    """Multi-head self-attention within sequences (N, L, C)."""

    def __init__(self, dims: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(dims, 3 * dims)
        self.proj = Linear(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Apply self-attention, (N, L, C) to the same."""
        return self.proj(attend(self.qkv(x), self.num_heads))


class MLP(nn.Module):
    """Two linear layers with GELU in between."""

    def __init__(self, dims: int, hidden: int):
        super().__init__()
        self.fc1 = Linear(dims, hidden)
        self.fc2 = Linear(hidden, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token, (..., C) to the same."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """One stream of a level: attention and MLP over the joints (s), and over the frames (t)."""

    def __init__(self, dims: int, num_heads: int, mlp_ratio: float):
        super().__init__()
        for axis in 'st':
            self.add_module(f'norm1_{axis}', nn.LayerNorm(dims, eps=1e-6))
            self.add_module(f'attn_{axis}', Attention(dims, num_heads))
            self.add_module(f'norm2_{axis}', nn.LayerNorm(dims, eps=1e-6))
            self.add_module(f'mlp_{axis}', MLP(dims, int(dims * mlp_ratio)))

    def spatial(self, x: Tensor) -> Tensor:
        """Transform over the joints of each frame, (B, T, J, C) to the same."""
        shape, x = x.shape, x.flatten(0, 1)
        x = x + self.attn_s(self.norm1_s(x))
        return (x + self.mlp_s(self.norm2_s(x))).view(shape)

    def temporal(self, x: Tensor) -> Tensor:
        """Transform over the frames of each joint, (B, T, J, C) to the same."""
        # a single copy instead of one each for query, key, value and result
        x = x.transpose(1, 2)  # (B, J, T, C)
        shape, x = x.shape, x.flatten(0, 1)
        x = x + self.attn_t(self.norm1_t(x))
        return (x + self.mlp_t(self.norm2_t(x))).view(shape).transpose(1, 2)


def fuse(scores: nn.Linear, x_st: Tensor, x_ts: Tensor) -> Tensor:
    """Average the streams with weights ``softmax(scores([x_st, x_ts]))`` (eq. 4 and 5).

    Softmax over two scores is the sigmoid of their difference, so nothing is concatenated.
    """
    (w_st, w_ts), bias = (scores.weight[0] - scores.weight[1]).chunk(2), scores.bias
    alpha = (x_st @ w_st + x_ts @ w_ts + (bias[0] - bias[1])).sigmoid()
    return torch.lerp(x_ts, x_st, alpha[..., None].type_as(x_st))


@MODELS.register_module()
class DSTformer(BaseBackbone):
    """Dual-stream transformer from 2D keypoints of one person to 3D positions or features.

    A level has two streams that read the same input: space, then time (ST), and time, then space
    (TS). They are fused with weights computed from both for each joint and frame (eq. 4 and 5).

    The released models are ``DSTformer()``, 42,466,317 parameters, and Lite,
    ``DSTformer(embed_dims=256, mlp_ratio=4)``, 16,001,549 parameters.

    Args:
        embed_dims (int): C, width of the streams. Defaults to 512.
        rep_dims (int): Width of the representation. Defaults to 512.
        depth (int): Number of levels. Defaults to 5.
        num_heads (int): Attention heads; divides C. Defaults to 8.
        mlp_ratio (float): Hidden width of the MLPs over C. Defaults to 2.
        max_frames (int): Maximum length of a clip. Defaults to 243.
        init_std (float): Standard deviation of the initial weights and embeddings (truncated
            normal). Defaults to 0.02, as published; the tiny configs use 1 / sqrt(C).
        frozen (bool): Whether to train only the output layer (linear probe). Defaults to False.
        init_cfg (dict, optional): Initialization config, e.g. of pre-trained weights.

    Raises:
        ValueError: If C is not a multiple of ``num_heads``.
    """

    def __init__(self,
                 embed_dims: int = 512,
                 rep_dims: int = 512,
                 depth: int = 5,
                 num_heads: int = 8,
                 mlp_ratio: float = 2,
                 max_frames: int = 243,
                 init_std: float = 0.02,
                 frozen: bool = False,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims: found {embed_dims}, expected a multiple of num_heads='
                             f'{num_heads}')
        self.joints_embed = nn.Linear(3, embed_dims)  # x, y and confidence
        self.pos_embed = nn.Parameter(torch.zeros(1, NUM_JOINTS, embed_dims))
        self.temp_embed = nn.Parameter(torch.zeros(1, max_frames, 1, embed_dims))
        self.blocks_st, self.blocks_ts = (
            nn.ModuleList(Block(embed_dims, num_heads, mlp_ratio) for _ in range(depth))
            for _ in range(2))
        self.ts_attn = nn.ModuleList(nn.Linear(2 * embed_dims, 2) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.pre_logits = nn.Sequential()
        self.pre_logits.add_module('fc', nn.Linear(embed_dims, rep_dims))
        self.pre_logits.add_module('act', nn.Tanh())
        self.head = nn.Linear(rep_dims, 3)  # x, y and z
        self._init(init_std)
        if frozen:
            self.freeze()
            self.head.requires_grad_(True)

    def _init(self, std: float):
        """Initialize the weights; fusion starts as the mean of the streams."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=std)
                nn.init.zeros_(module.bias)
        for embedding in (self.pos_embed, self.temp_embed):
            trunc_normal_(embedding, std=std)
        for fuse in self.ts_attn:
            nn.init.zeros_(fuse.weight)
            nn.init.constant_(fuse.bias, 0.5)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """See :class:`BaseBackbone`; layer i holds both streams of level i and their weights."""
        last = len(self.blocks_st) + 1
        if match := re.match(rf'{re.escape(prefix)}(?:blocks_st|blocks_ts|ts_attn)\.(\d+)\.',
                             param_name):
            return int(match[1]) + 1, last + 1
        embedding = tuple(prefix + name for name in ('joints_embed.', 'pos_embed', 'temp_embed'))
        return 0 if param_name.startswith(embedding) else last, last + 1

    def get_representation(self, x: Tensor) -> Tensor:
        """Compute a representation of each joint in each frame.

        Args:
            x (Tensor): (B, T, J, 3) normalized x, y (about [-1, 1]) and confidence; T up to
                ``max_frames``.

        Returns:
            Tensor: (B, T, J, ``rep_dims``) in (-1, 1).

        Raises:
            ValueError: If the number of frames or joints does not fit.
        """
        frames, joints = self.temp_embed.shape[1], self.pos_embed.shape[1]
        if x.ndim != 4 or x.shape[1] > frames or x.shape[2] != joints:
            raise ValueError(f'x: found shape {tuple(x.shape)}, expected (B, T, {joints}, 3) with '
                             f'T up to max_frames={frames}')
        x = self.joints_embed(x) + self.pos_embed + self.temp_embed[:, :x.shape[1]]
        return self.pre_logits(self.norm(self.transform(x)))

    def transform(self, x: Tensor) -> Tensor:
        """Apply all levels, (B, T, J, C) to the same."""
        for st, ts, scores in zip(self.blocks_st, self.blocks_ts, self.ts_attn, strict=True):
            x = fuse(scores, st.temporal(st.spatial(x)), ts.spatial(ts.temporal(x)))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Predict positions (B, T, J, 3) in the units of the input (B, T, J, 3)."""
        return self.head(self.get_representation(x))


@MODELS.register_module()
class DSTformerBackbone(DSTformer):
    """DSTformer as a feature extractor, e.g. for a :class:`MotionRecognizer`.

    The frozen output layer for 3D positions is kept, so that checkpoints match.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.head.requires_grad_(False)

    def forward(self, inputs: Tensor) -> MotionFeatures:
        """Extract features of clips.

        Args:
            inputs (Tensor): (B, M, T, J, 3) of M persons.

        Returns:
            MotionFeatures: ``tokens`` (B, M * T * J, C), persons outermost; ``pooled`` (B, C),
            their mean; ``encoded`` (B, M * T * J), all true; ``frames`` (B, T, J * C), means
            over persons with concatenated joints as in the paper's heads.
        """
        rep = self.get_representation(inputs.flatten(0, 1)).float()
        rep = rep.reshape(*inputs.shape[:-1], -1)  # (B, M, T, J, C)
        tokens = rep.flatten(1, 3)
        return MotionFeatures(tokens, tokens.mean(1), torch.ones_like(tokens[..., 0], dtype=bool),
                              rep.mean(1).flatten(2))
