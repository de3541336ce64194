"""Linear classification head on pooled features (DT1)."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import MotionFeatures

from ..layers.probe_norm import ProbeBatchNorm
from ..losses.global_batch import global_mean


@MODELS.register_module()
class ActionClsHead(BaseModule):
    """Dropout and one linear layer on the pooled features (MoFM, Sec. 5.1).

    Args:
        num_classes (int): C.
        in_channels (int): D. Defaults to 768.
        dropout (float): Defaults to 0.4.
        label_smooth (float): Label smoothing of the cross entropy. Defaults to 0.
        probe_norm (bool): Batch norm without affine parameters before the linear layer, as in
            linear probes (MAE, arXiv 2111.06377). Defaults to False.
        class_weight (tuple[float], optional): Weights of the classes in the cross entropy.

    Raises:
        ValueError: If there is one class only, which is always right.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 768,
                 dropout: float = 0.4,
                 label_smooth: float = 0.,
                 probe_norm: bool = False,
                 class_weight: tuple | None = None):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f'num_classes: found {num_classes}, expected at least 2')
        self.num_classes = num_classes
        self.label_smooth = label_smooth
        self.register_buffer('class_weight', class_weight and torch.tensor(class_weight),
                             persistent=False)
        self.norm = ProbeBatchNorm(in_channels, affine=False) if probe_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(in_channels, num_classes)

    def init_weights(self):
        """Initialize by a truncated normal, std 0.02."""
        trunc_normal_(self.fc.weight, std=0.02)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: MotionFeatures) -> Tensor:
        """Compute class scores (B, C)."""
        return self.fc(self.dropout(self.norm(features.pooled)))

    def loss(self, features: MotionFeatures, labels: Tensor) -> dict:
        """Compute cross entropy and training accuracy for labels (B,).

        Raises:
            ValueError: If a label is not in [0, C).
        """
        scores = self(features)
        if int(labels.min()) < 0 or int(labels.max()) >= scores.shape[1]:
            raise ValueError(f'label: found {int(labels.min())}...{int(labels.max())}, expected '
                             f'0...{scores.shape[1] - 1}; set num_classes of the head')
        loss = F.cross_entropy(scores, labels, self.class_weight,
                               label_smoothing=self.label_smooth)
        if self.class_weight is not None:  # the mean is weighted
            loss = global_mean(loss, self.class_weight[labels].sum())
        return dict(
            loss_cls=loss,
            top1_acc=(scores.argmax(1) == labels).float().mean())

    def predict(self, features: MotionFeatures, data_samples: list) -> list:
        """Set ``pred_score`` (C,) and ``pred_label``, averaged over the clips of a sample."""
        scores = self(features).softmax(1)
        scores = scores.view(len(data_samples), -1, scores.shape[1]).mean(1)
        for sample, score in zip(data_samples, scores, strict=True):
            sample.set_pred_score(score).set_pred_label(score.argmax())
        return data_samples
