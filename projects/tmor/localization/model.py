"""MotionDetector: backbone and head for the actions of every frame of a window."""

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.models.precision import full_precision
from mofm.registry import MODELS


@MODELS.register_module()
class MotionDetector(BaseModel):
    """Features along time into a head that names the actions of each frame.

    Args:
        backbone (dict): Any encoder that returns :class:`MotionFeatures`. ``frozen=True`` makes
            it a linear probe, ``init_cfg=dict(type='Pretrained', checkpoint=...,
            prefix='backbone.')`` fine-tuning, neither training from scratch.
        head (dict): Head with ``loss(features, targets, valid)``, a dict, and ``predict(features,
            valid, data_samples)``, the data samples with ``frame_scores``.
        data_preprocessor (dict, optional): Brings the windows to the device.
    """

    def __init__(self, backbone: dict, head: dict, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)

    def forward(self, inputs, data_samples: list | None = None, mode: str = 'tensor'):
        """Losses ('loss'), data samples ('predict') or :class:`MotionFeatures` ('tensor').

        The data samples of a window have ``valid`` (S,) and, for the loss, ``frame_targets``
        (S, K), see :class:`UntrimmedDataset`.
        """
        features = self.backbone(inputs)
        if mode == 'tensor':
            return features
        device = features.pooled.device
        with full_precision(features.pooled):
            valid = _stack(data_samples, 'valid', device)
            if mode == 'predict':
                return self.head.predict(features, valid, data_samples)
            return self.head.loss(features, _stack(data_samples, 'frame_targets', device), valid)


def _stack(data_samples: list, field: str, device: torch.device) -> Tensor:
    """A field of all data samples, (B, ...)."""
    if any(field not in sample for sample in data_samples):
        raise ValueError(f'data sample without {field}: expected windows of UntrimmedDataset of '
                         f'one length, and meta_keys of the packing transform with {field}')
    return torch.from_numpy(np.stack([sample.get(field) for sample in data_samples])).to(device)
