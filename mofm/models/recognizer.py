"""MotionRecognizer: backbone and head for labeled clips (DT1, DT2, DT4)."""

import torch
from mmengine.model import BaseModel

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from .precision import full_precision


@MODELS.register_module()
class MotionRecognizer(BaseModel):
    """Backbone with a head: classification, one-shot embedding, supervised anomaly detection.

    Args:
        backbone (dict): Encoder of thermal cubes. ``frozen=True`` makes it a linear probe,
            ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')`` fine-tuning,
            neither training from scratch.
        cls_head (dict): Head with ``loss(features, labels)``, which returns a dict, and
            ``predict(features, data_samples)``, which adds predictions to the data samples.
        data_preprocessor (dict, optional): Renderer of the clips.
    """

    def __init__(self, backbone: dict, cls_head: dict, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.cls_head = MODELS.build(cls_head)

    def forward(self, inputs: ThermalCubes, data_samples: list | None = None,
                mode: str = 'tensor'):
        """Return losses ('loss'), samples ('predict') or :class:`MotionFeatures` ('tensor')."""
        features = self.backbone(inputs)
        if mode == 'tensor':
            return features
        with full_precision(features.pooled):
            if mode == 'predict':
                return self.cls_head.predict(features, data_samples)
            labels = torch.cat([s.gt_label for s in data_samples]).to(inputs.device)
            clips = len(inputs) // len(data_samples)
            return self.cls_head.loss(features, labels.repeat_interleave(clips))
