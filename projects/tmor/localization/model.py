"""Model of temporal localization: a backbone and a head for the actions of every frame."""

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.models.precision import full_precision
from mofm.registry import MODELS


@MODELS.register_module()
class MotionDetector(BaseModel):
    """Temporal localization of actions by a backbone and a head per frame.

    Args:
        backbone (dict): Any encoder that returns :class:`MotionFeatures`. ``init_cfg=dict(
            type='Pretrained', checkpoint=..., prefix='backbone.')`` is fine-tuning, with
            ``frozen=True`` a linear probe.
        head (dict): Head with ``loss(features, targets, valid)``, a dict, and ``predict(features,
            valid, data_samples)``, the data samples with ``frame_scores``.
        data_preprocessor (dict, optional): Preprocessor of the windows.
    """

    def __init__(self, backbone: dict, head: dict, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)

    def forward(self, inputs, data_samples: list | None = None, mode: str = 'tensor'):
        """Compute losses ('loss'), data samples ('predict') or :class:`MotionFeatures` ('tensor').

        Features of the clips of a window (:class:`ConsecutiveClips`) follow each other in time.

        The data samples of a window have ``valid`` (S,) and, for the loss, ``frame_targets``
        (S, K), see :class:`UntrimmedDataset`.
        """
        features = self.backbone(inputs)
        if mode == 'tensor':
            return features
        device = features.pooled.device
        if features.frames is not None:
            frames = features.frames.reshape(len(data_samples), -1, features.frames.shape[2])
            features = features._replace(frames=frames)
        with full_precision(features.pooled):
            valid = _stack(data_samples, 'valid', device)
            if mode == 'predict':
                return self.head.predict(features, valid, data_samples)
            return self.head.loss(features, _stack(data_samples, 'frame_targets', device), valid)


def _stack(data_samples: list, field: str, device: torch.device) -> Tensor:
    """Stack a field of all data samples to (B, ...)."""
    if any(field not in sample for sample in data_samples):
        raise ValueError(f'data sample without {field}: expected windows of UntrimmedDataset of '
                         f'one length, and meta_keys of the packing transform with {field}')
    return torch.from_numpy(np.stack([sample.get(field) for sample in data_samples])).to(device)
