"""MotionRecognizer: backbone and head for action classification (DT1)."""

import torch
from mmengine.model import BaseModel

from mofm.registry import MODELS

from .thermal_cubes import ThermalCubes


@MODELS.register_module()
class MotionRecognizer(BaseModel):
    """Classify clips; the scores of several clips of a sample are averaged.

    Args:
        backbone (dict): Encoder of thermal cubes. ``frozen=True`` makes it a linear probe,
            ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')`` fine-tuning,
            neither training from scratch.
        cls_head (dict): Head with ``loss(features, labels)`` and ``forward(features)``.
        data_preprocessor (dict, optional): Renders the clips.
    """

    def __init__(self, backbone: dict, cls_head: dict, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.cls_head = MODELS.build(cls_head)

    def forward(self, inputs: ThermalCubes, data_samples: list | None = None,
                mode: str = 'tensor'):
        """Losses ('loss'), data samples ('predict') or :class:`MotionFeatures` ('tensor')."""
        features = self.backbone(inputs)
        if mode == 'tensor':
            return features
        if mode == 'loss':
            labels = torch.cat([s.gt_label for s in data_samples]).to(inputs.device)
            clips = len(inputs) // len(data_samples)
            return self.cls_head.loss(features, labels.repeat_interleave(clips))
        scores = self.cls_head(features).softmax(1)
        scores = scores.view(len(data_samples), -1, scores.shape[1]).mean(1)
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(score.argmax())
        return data_samples

    @torch.no_grad()
    def extract_features(self, inputs: ThermalCubes):
        """:class:`MotionFeatures` of the clips, without gradient."""
        return self.backbone(inputs)
