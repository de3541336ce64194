"""KeypointAlign: tokens where the joints are, as RoIAlign (arXiv 1703.06870) on motion tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mofm.structures import MotionFeatures


class KeypointAlign(nn.Module):
    """Features per joint and part of the clip, read from the tokens of the joint's cubes.

    Tokens are averaged by the share of the joint's heat in their cubes, so that no border between
    two cubes makes a difference. A missing joint has the feature 0. There are no parameters.

    Args:
        depth (int): Number of blocks of the backbone.
        blocks (tuple[int], optional): Blocks, 1 to ``depth``, whose outputs are concatenated after
            layer norm. Defaults to the last one.
        parts (int): P, equal parts of the clip. Defaults to 4.

    Raises:
        ValueError: If there is no such block.
    """

    def __init__(self, depth: int, blocks: tuple | None = None, parts: int = 4):
        super().__init__()
        self.blocks = (depth, ) if blocks is None else tuple(blocks)
        if not self.blocks or not set(self.blocks) <= set(range(1, depth + 1)):
            raise ValueError(f'align.blocks: found {blocks}, expected numbers of 1 to {depth}')
        self.parts = parts

    def forward(self, features: MotionFeatures, levels: list[Tensor],
                shares: Tensor) -> MotionFeatures:
        """Replace pooled features and add features along time.

        Args:
            features (MotionFeatures): Output of the backbone.
            levels (list[Tensor]): Outputs (B, K, D) of L blocks.
            shares (Tensor): (B, J, P, K), see :meth:`ThermalCubes.shares`.

        Returns:
            MotionFeatures: ``pooled`` (B, J * P * L * D), joints first, and ``frames``
            (B, P, J * L * D).
        """
        tokens = torch.cat([F.layer_norm(x, x.shape[-1:]) for x in levels], -1)
        joints = torch.einsum('bjpk,bkd->bjpd', shares.to(tokens.dtype), tokens)
        return features._replace(pooled=joints.flatten(1),
                                 frames=joints.transpose(1, 2).flatten(2))
