"""Lifting model for pre-training, 3D pose estimation and inference in the wild."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.models.precision import full_precision
from mofm.registry import MODELS
from mofm.structures import get_layout

_FLIP = get_layout('h36m17').flip_index.tolist()


def mirror(x: Tensor) -> Tensor:
    """Mirror keypoints with scores, or positions (..., 17, 3)."""
    return x[..., _FLIP, :] * x.new_tensor([-1, 1, 1])


@MODELS.register_module()
class MotionLifter(BaseModel):
    """Model that lifts every person of a clip (MotionBERT, arXiv 2210.06551, Sec. 3.1 and 3.3).

    Args:
        backbone (dict): Network from (N, T, J, 3) keypoints to (N, T, J, 3) positions.
            For fine-tuning, ``init_cfg=dict(type='Pretrained', checkpoint=...,
            prefix='backbone.')``.
        loss (dict, optional): See :class:`LiftingLoss`; for training.
        root_relative (bool): Whether positions are relative to the root of their frame. Otherwise
            x and y are those of the keypoints and z is relative to the root of the first frame.
            Defaults to True.
        flip_test (bool): Whether to average the predictions of a clip and its mirror image.
            Defaults to True.
        data_preprocessor (dict, optional): See :class:`LiftingDataPreprocessor`.
    """

    def __init__(self, backbone: dict, loss: dict | None = None, root_relative: bool = True,
                 flip_test: bool = True, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.loss = loss and MODELS.build(loss)
        self.root_relative = root_relative
        self.flip_test = flip_test

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor',
                target: Tensor | None = None, clean: Tensor | None = None):
        """Compute losses ('loss'), data samples ('predict') or positions ('tensor').

        Args:
            inputs (Tensor): (B, M, T, J, 3) normalized x, y and confidence.
            data_samples (list, optional): B samples; each gets ``pred_keypoints_3d``
                (M, T, J, 3) float32 in normalized units.
            mode (str): 'loss', 'predict' or 'tensor'.
            target (Tensor, optional): (B, T, J, 3) positions of the only person; without them
                the loss is the re-projection error.
            clean (Tensor, optional): (B, M, T, J, 3) uncorrupted keypoints, for the re-projection.

        Returns:
            dict, list or Tensor: (B, M, T, J, 3).
        """
        if mode == 'predict':
            for sample, pred in zip(data_samples, self.lift(inputs), strict=True):
                sample.set_field(pred, 'pred_keypoints_3d')
            return data_samples
        pred = self.backbone(inputs.flatten(0, 1)).view(inputs.shape)
        if mode == 'tensor':
            return pred
        with full_precision(pred):
            if target is not None:
                return self.loss(pred.float()[:, 0], self.center(target))
            points, score = clean[..., :2], clean[..., 2]
            if self.root_relative:  # frames without a root are ignored
                score = score * (score[..., :1] > 0)
                points = points - points[..., :1, :]
            return self.loss.project(pred.float(), points, score)

    def center(self, positions: Tensor) -> Tensor:
        """Center positions (..., T, J, 3) as the backbone predicts them."""
        if self.root_relative:
            return positions - positions[..., :1, :]
        origin = positions[..., :1, :1, :] * positions.new_tensor([0, 0, 1])
        return positions - origin

    def lift(self, inputs: Tensor) -> Tensor:
        """Predict centered positions (B, M, T, J, 3) float32 from keypoints (B, M, T, J, 3)."""
        pred = self(inputs).float()
        if self.flip_test:
            pred = (pred + mirror(self(mirror(inputs)).float())) / 2
        if self.root_relative:
            return pred * (torch.arange(pred.shape[-2], device=pred.device) > 0)[:, None]
        return self.center(pred)
