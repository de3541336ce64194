"""SurpriseDetector: normality by the likelihood of motion tokens, without normal data (DT3)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from .precision import full_precision
from .pretrainer import MotionPretrainer


@MODELS.register_module()
class SurpriseDetector(MotionPretrainer):
    """Pre-training that scores clips by the surprise at their tokens.

    The occupied cubes are masked in turn, by disjoint masks that cover all of them, each a set of
    diagonals of the grid. Normality is minus the negative log likelihood of the true tokens of
    the masked cubes in nats. It needs a pre-training only: its checkpoint is tested with
    this class in the config. Losses are those of the pre-training.

    Args:
        num_masks (int): Number of masks n, in each of which one of n adjacent cubes is masked.
            Defaults to 2.
        reduction (str): 'mean' or 'sum' over the cubes of a clip; the sum depends on their number
            more than on the motion. Defaults to 'mean'.
        **kwargs: Arguments of :class:`MotionPretrainer`.

    Raises:
        ValueError: If there is no mask, or the reduction is unknown.
    """

    approach = 'the surprise of its pre-training at motion tokens'
    needs_mask = False

    def __init__(self, *args, num_masks: int = 2, reduction: str = 'mean', **kwargs):
        super().__init__(*args, **kwargs)
        if num_masks < 1:
            raise ValueError(f'num_masks: found {num_masks}, expected at least 1')
        if reduction not in ('mean', 'sum'):
            raise ValueError(f"reduction: found {reduction!r}, expected 'mean' or 'sum'")
        self.num_masks = num_masks
        self.reduction = reduction

    def surprise(self, inputs: ThermalCubes) -> Tensor:
        """Compute the negative log likelihood (B,) of the true tokens; 0 without a keypoint."""
        occupied = inputs.occupied(self.backbone.segments)
        cube = torch.arange(occupied.shape[1], device=inputs.device)
        cols = self.backbone.grid.cols
        part = (cube // cols + cube % cols) % self.num_masks
        total = torch.zeros(len(inputs), device=inputs.device)
        for number in range(self.num_masks):
            mask = occupied & (part == number)
            ids = self.tokenizer.encode(inputs, mask)  # (N,)
            tokens = self.backbone(inputs, mask).tokens[mask]
            with full_precision(tokens):
                loss = F.cross_entropy(self.head(tokens), ids, reduction='none')
            total.index_add_(0, mask.nonzero()[:, 0], loss.float())
        return total if self.reduction == 'sum' else total / occupied.sum(1).clamp(min=1)

    def forward(self, inputs: ThermalCubes, mask: Tensor | None = None,
                data_samples: list | None = None, mode: str = 'tensor'):
        """Return losses, features, or samples with ``normality``, averaged over their clips."""
        if mode != 'predict':
            return super().forward(inputs, mask, data_samples, mode)
        self._load_teacher()  # a test does not call init_weights
        normality = -self.surprise(inputs).view(len(data_samples), -1).mean(1)
        for sample, value in zip(data_samples, normality, strict=True):
            sample.normality = value
        return data_samples
