"""Keypoints as features: the baseline of learned features."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mofm.registry import MODELS
from mofm.structures import SCORE_THRESHOLD, MotionFeatures, RenderedCubes, ThermalCubes


def normalize_person(inputs: ThermalCubes) -> tuple[Tensor, Tensor]:
    """Normalize place and size of the person with the most visible joints.

    Coordinates are centered on the mean over the visible joints of the clip and divided by their
    root mean square distance from it.

    Args:
        inputs (ThermalCubes): B clips of keypoints.

    Returns:
        tuple: Coordinates (B, J, F, 2) and scores (B, J, F), both 0 for missing joints.

    Raises:
        ValueError: If the clips were rendered by the loader.
    """
    if isinstance(inputs, RenderedCubes):
        raise ValueError("clips: found heat maps, expected keypoints; use render='device' in "
                         'ThermalCubeFormat')
    points = inputs.keypoints  # (B, M, J, F, 3)
    visible = (points[..., 2] >= SCORE_THRESHOLD) & points.isfinite().all(-1)
    person = visible.sum((2, 3)).argmax(1)
    index = torch.arange(len(points), device=inputs.device)
    points, visible = points[index, person], visible[index, person]  # (B, J, F, 3)
    points = torch.where(visible[..., None], points, 0)
    xy, score = points[..., :2], points[..., 2]
    count = visible.sum((1, 2)).clamp(min=1)[:, None, None, None]
    xy = (xy - xy.sum((1, 2), keepdim=True) / count) * visible[..., None]
    size = (xy.square().sum((1, 2, 3), keepdim=True) / count).sqrt()
    return xy / size.clamp(min=1e-6), score


@MODELS.register_module()
class KeypointFeatures(BaseModule):
    """Coordinates of one person without place and size, see :func:`normalize_person`.

    There are no parameters.
    """

    def forward(self, inputs: ThermalCubes) -> MotionFeatures:
        """Compute the features of a batch of clips.

        Args:
            inputs (ThermalCubes): B clips of keypoints.

        Returns:
            MotionFeatures: x and y of every joint and frame: pooled (B, J * F * 2), as the only
            token (B, 1, J * F * 2), and per frame (B, F, J * 2).
        """
        xy, _ = normalize_person(inputs)
        pooled = xy.flatten(1)
        encoded = torch.ones(len(pooled), 1, dtype=torch.bool, device=inputs.device)
        return MotionFeatures(pooled[:, None], pooled, encoded, xy.transpose(1, 2).flatten(2))


@MODELS.register_module()
class KeypointStatistics(BaseModule):
    """Statistics over time of the coordinates of one person, see :func:`normalize_person`.

    They do not depend on when something happens. There are no parameters.
    """

    def forward(self, inputs: ThermalCubes) -> MotionFeatures:
        """Compute the features of a batch of clips.

        Args:
            inputs (ThermalCubes): B clips of keypoints.

        Returns:
            MotionFeatures: Mean, standard deviation, minimum, maximum and mean absolute value of
            x and y of every joint, and their mean absolute change per frame: pooled
            (B, J * 12), as the only token (B, 1, J * 12).
        """
        xy, _ = normalize_person(inputs)  # (B, J, F, 2)
        pooled = torch.cat([
            xy.mean(2), xy.std(2, correction=0), xy.amin(2), xy.amax(2), xy.abs().mean(2),
            xy.diff(dim=2).abs().mean(2)], -1).flatten(1)
        encoded = torch.ones(len(pooled), 1, dtype=torch.bool, device=inputs.device)
        return MotionFeatures(pooled[:, None], pooled, encoded)
