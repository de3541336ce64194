"""Heads that classify the actions of every frame, and their losses.

The frame head is T-MOR's (arXiv 2606.21607, Sec. II-A and III-B), with the details of UNIK2 and
LAC by the same author; SD-TCN is the baseline of Toyota Smarthome Untrimmed (Dai et al., TPAMI
2022).
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.models.losses.global_batch import global_mean
from mofm.registry import MODELS
from mofm.structures import MotionFeatures


@MODELS.register_module()
class FrameBCELoss(nn.Module):
    """Binary cross entropy of each action, for any number of actions at a time.

    Summed over classes and valid frames, divided by the number of valid frames of all processes.
    """

    #: Outputs of the head in addition to the classes.
    background = 0

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """Compute the loss of logits (B, S, K); targets (B, S, K), ``valid`` (B, S) bool."""
        loss = F.binary_cross_entropy_with_logits(logits[valid], targets[valid].type_as(logits),
                                                  reduction='sum')
        count = valid.sum()
        return global_mean(loss / count.clamp(min=1), count)

    def scores(self, logits: Tensor) -> Tensor:
        """Convert logits to probabilities (..., K)."""
        return logits.sigmoid()


@MODELS.register_module()
class FrameCELoss(nn.Module):
    """Cross entropy for at most one action at a time; output 0 is the background.

    Annotated actions that overlap share the target equally. The mean is over the valid frames of
    all processes.
    """

    background = 1

    def forward(self, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """Compute the loss of logits (B, S, 1 + K); targets (B, S, K), ``valid`` (B, S) bool."""
        targets = targets[valid]
        share = torch.cat([~targets.any(-1, keepdim=True), targets], -1).type_as(logits)
        count = valid.sum()
        loss = F.cross_entropy(logits[valid], share / share.sum(-1, keepdim=True),
                               reduction='sum')
        return global_mean(loss / count.clamp(min=1), count)

    def scores(self, logits: Tensor) -> Tensor:
        """Convert logits to probabilities (..., K) without that of the background."""
        return logits.softmax(-1)[..., 1:]


def to_length(x: Tensor, length: int) -> Tensor:
    """Interpolate (B, T, D) linearly to (B, length, D)."""
    return F.interpolate(x.transpose(1, 2), length, mode='linear').transpose(1, 2)


@MODELS.register_module()
class FrameHead(BaseModule):
    """One linear layer on the features of each frame: 13,107 parameters for 51 classes.

    Features of fewer frames are interpolated linearly; without features along time all frames
    have the same logits.

    Args:
        num_classes (int): K.
        in_channels (int): D. Defaults to 256.
        loss (dict, optional): :class:`FrameBCELoss`, the default, or :class:`FrameCELoss`.
    """

    def __init__(self, num_classes: int, in_channels: int = 256, loss: dict | None = None):
        super().__init__()
        self.num_classes = num_classes
        self.criterion = MODELS.build(loss or dict(type='FrameBCELoss'))
        self.fc = nn.Linear(in_channels, num_classes + self.criterion.background)

    def init_weights(self):
        """Truncated normal, std 0.02."""
        trunc_normal_(self.fc.weight, std=0.02)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: MotionFeatures, valid: Tensor) -> Tensor:
        """Compute the logits of all frames.

        Args:
            features (MotionFeatures): ``frames`` (B, T, D) or, without these, ``pooled`` (B, D).
            valid (Tensor): (B, S) bool, false for padding.

        Returns:
            Tensor: (B, S, K), or (B, S, 1 + K) with a background.
        """
        # after the layer, as T < S and K < D: interpolation commutes with it
        return to_length(self.fc(frame_features(features)), valid.shape[1])

    def loss(self, features: MotionFeatures, targets: Tensor, valid: Tensor) -> dict:
        """Compute ``loss_frame`` for targets (B, S, K) bool and ``valid`` (B, S) bool.

        Raises:
            ValueError: If the targets have another number of classes.
        """
        if targets.shape[-1] != self.num_classes:
            raise ValueError(f'frame_targets: found {targets.shape[-1]} classes, expected '
                             f'num_classes={self.num_classes} of the head, as in the data')
        return dict(loss_frame=self.criterion(self(features, valid), targets, valid))

    def predict(self, features: MotionFeatures, valid: Tensor, data_samples: list) -> list:
        """Set ``frame_scores`` (S, K), probabilities of the classes in each frame."""
        for sample, scores in zip(data_samples,
                                  self.criterion.scores(self(features, valid)),
                                  strict=True):
            sample.frame_scores = scores
        return data_samples


def frame_features(features: MotionFeatures) -> Tensor:
    """Return features along time (B, T, D); T = 1 if the backbone pools them."""
    return features.pooled[:, None] if features.frames is None else features.frames


class _DilatedResidual(nn.Module):
    """Block ``x + dropout(1x1(ReLU(dilated convolution of 3 frames(x))))``, 0 at padding."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Transform (B, D, S); ``valid`` (B, 1, S) of the same type."""
        return (x + self.dropout(self.mix(F.relu(self.conv(x))))) * valid


@MODELS.register_module()
class SDTCNHead(FrameHead):
    """Five dilated residual blocks over time: 5,405,747 parameters for 51 classes.

    Dilations are 1, 2, 4, 8 and 16: the receptive field is 31 frames to either side.

    Args:
        num_classes (int): K.
        in_channels (int): D. Defaults to 256.
        hidden_channels (int): Width of the blocks. Defaults to 512.
        loss (dict, optional): See :class:`FrameHead`.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 256,
                 hidden_channels: int = 512,
                 loss: dict | None = None):
        super().__init__(num_classes, hidden_channels, loss)
        self.embed = nn.Linear(in_channels, hidden_channels)
        self.blocks = nn.ModuleList(
            _DilatedResidual(hidden_channels, 2**i) for i in range(5))

    def forward(self, features: MotionFeatures, valid: Tensor) -> Tensor:
        """See :meth:`FrameHead.forward`."""
        x = to_length(self.embed(frame_features(features)), valid.shape[1]).transpose(1, 2)
        mask = valid[:, None].type_as(x)  # (B, 1, S)
        for block in self.blocks:
            x = block(x, mask)
        return self.fc(x.transpose(1, 2))
