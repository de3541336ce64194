"""Embedding head for one-shot recognition by the nearest exemplar (DT2)."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import MotionFeatures

from ..layers.probe_norm import ProbeBatchNorm


@MODELS.register_module()
class OneShotHead(BaseModule):
    """Dropout, one linear layer and L2 normalization (MoFM, Sec. 5.2).

    Args:
        in_channels (int): D. Defaults to 768.
        out_channels (int, optional): E. None uses the pooled features, to test a backbone that was
            not trained for the task. Defaults to 2048.
        dropout (float): Defaults to 0.4.
        loss (dict, optional): Loss of (embedding, labels). Defaults to :class:`SupConLoss`.
        probe_norm (bool): Batch norm without affine parameters before the linear layer, see
            :class:`ActionClsHead`. Defaults to False.
    """

    def __init__(self,
                 in_channels: int = 768,
                 out_channels: int | None = 2048,
                 dropout: float = 0.4,
                 loss: dict | None = None,
                 probe_norm: bool = False):
        super().__init__()
        self.norm = ProbeBatchNorm(in_channels, affine=False) if probe_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Identity() if out_channels is None else nn.Linear(in_channels, out_channels)
        self.criterion = MODELS.build(loss or dict(type='SupConLoss'))

    def init_weights(self):
        """Initialize by a truncated normal, std 0.02."""
        if isinstance(self.fc, nn.Linear):
            trunc_normal_(self.fc.weight, std=0.02)
            nn.init.zeros_(self.fc.bias)

    def forward(self, features: MotionFeatures) -> Tensor:
        """Compute embeddings (B, E) of length 1."""
        return F.normalize(self.fc(self.dropout(self.norm(features.pooled))), dim=1)

    def loss(self, features: MotionFeatures, labels: Tensor) -> dict:
        """Compute ``loss_supcon`` for labels (B,)."""
        return dict(loss_supcon=self.criterion(self(features), labels))

    def predict(self, features: MotionFeatures, data_samples: list) -> list:
        """Set ``embedding`` (E,), averaged over the clips of a sample and normalized again."""
        embedding = self(features)
        embedding = embedding.view(len(data_samples), -1, embedding.shape[1]).mean(1)
        for sample, vector in zip(data_samples, F.normalize(embedding, dim=1), strict=True):
            sample.embedding = vector
        return data_samples
