"""Token jigsaw: prediction of the pieces of a shuffled clip (DT3).

MoFM, Sec. 5.3, after the decoupled jigsaw of Wang et al. (arXiv 2207.10172).
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import CubeGrid, MotionFeatures

from ..losses.global_batch import global_mean

#: Pieces with less heat are empty and indistinguishable.
MIN_HEAT = 1e-3


@MODELS.register_module()
class JigsawHead(BaseModule):
    """Classifier of the piece in every slot of a shuffled clip.

    The K cubes are cut into P equal pieces. Slot s of a shuffled clip has piece ``perm[s]``. The
    tokens of a slot are averaged, and a linear layer predicts P logits: row = slot, column =
    piece. Test clips are not shuffled; normality is the smallest probability on the diagonal.

    Args:
        in_channels (int): D. Defaults to 768.
        canvas, patch (int): Geometry, see :class:`CubeGrid`. Default to 72 and 4.
        grid (tuple[int, int] | str): Rows and columns of pieces, or 'raster', runs of cubes in
            raster order. Defaults to (6, 2).
        num_pieces (int): P with 'raster'. Defaults to 12.
        dropout (float): Defaults to 0.4.
        ignore_empty (bool): Exclude empty pieces from loss and minimum. As they look the same,
            their probability tends to one over their number and would be the minimum of nearly
            every clip; the paper does not mention them. Defaults to True.

    Raises:
        ValueError: If the cubes cannot be cut into equal pieces.
    """

    def __init__(self,
                 in_channels: int = 768,
                 canvas: int = 72,
                 patch: int = 4,
                 grid: tuple | str = (6, 2),
                 num_pieces: int = 12,
                 dropout: float = 0.4,
                 ignore_empty: bool = True):
        super().__init__()
        self.ignore_empty = ignore_empty
        self.register_buffer('cubes', CubeGrid(1, canvas, patch).pieces(grid, num_pieces),
                             persistent=False)  # (P, K / P)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(in_channels, len(self.cubes))

    @property
    def num_pieces(self) -> int:
        """Number of pieces P."""
        return len(self.cubes)

    def init_weights(self):
        """Initialize by a truncated normal, std 0.02."""
        trunc_normal_(self.fc.weight, std=0.02)
        nn.init.zeros_(self.fc.bias)

    def shuffle(self, batch: int) -> Tensor:
        """Draw random permutations (B, P), the piece in every slot."""
        return torch.rand(batch, self.num_pieces, device=self.cubes.device).argsort(1)

    def order(self, perm: Tensor) -> Tensor:
        """Convert permutations of pieces (B, P) to permutations of cubes (B, K)."""
        order = perm.new_empty(len(perm), self.cubes.numel())
        order[:, self.cubes.flatten()] = self.cubes[perm].flatten(1)
        return order

    def occupied(self, peaks: Tensor) -> Tensor:
        """Find pieces (B, P) that count, from the highest heat of every cube (B, K)."""
        if not self.ignore_empty:
            return peaks.new_ones(len(peaks), self.num_pieces, dtype=torch.bool)
        return peaks[:, self.cubes].amax(2) >= MIN_HEAT

    def forward(self, features: MotionFeatures) -> Tensor:
        """Compute logits (B, P, P) of the pieces in every slot."""
        encoded = features.encoded[:, self.cubes]  # (B, P, K / P)
        pooled = features.tokens[:, self.cubes].sum(2)  # others are zero
        pooled = pooled / encoded.sum(2, keepdim=True).clamp(min=1)
        return self.fc(self.dropout(pooled))

    def loss(self, features: MotionFeatures, perm: Tensor, occupied: Tensor) -> dict:
        """Compute the cross entropy over slots with occupied pieces.

        Args:
            features (MotionFeatures): Features of shuffled clips.
            perm (Tensor): (B, P) piece in every slot, the labels.
            occupied (Tensor): (B, P) bool, pieces that count.

        Returns:
            dict: ``loss_jigsaw`` and ``jigsaw_acc``, means over the slots.
        """
        slots = occupied.gather(1, perm)
        logits, labels = self(features)[slots], perm[slots]
        if not len(labels):  # no keypoint in the batch
            return dict(loss_jigsaw=global_mean(logits.sum(), 0))
        return dict(
            loss_jigsaw=global_mean(F.cross_entropy(logits, labels), len(labels)),
            jigsaw_acc=(logits.argmax(1) == labels).float().mean())

    def predict(self, features: MotionFeatures, occupied: Tensor, data_samples: list) -> list:
        """Set ``jigsaw``, probabilities (P, P), and ``normality``, the minimum of the diagonal.

        Args:
            features (MotionFeatures): Features of clips in order.
            occupied (Tensor): (B, P) bool, pieces that count. A clip without any has normality 1.
            data_samples (list): B samples, or B / n with n clips each, which are averaged.
        """
        probability = self(features).softmax(2)
        right = probability.diagonal(dim1=1, dim2=2).masked_fill(~occupied, 1)
        clips = len(right) // len(data_samples)
        normality = right.amin(1).view(-1, clips).mean(1)
        probability = probability.view(-1, clips, *probability.shape[1:]).mean(1)
        for i, sample in enumerate(data_samples):
            sample.jigsaw = probability[i]
            sample.normality = normality[i]
        return data_samples
