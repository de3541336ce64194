"""Heads on joint representations (MotionBERT, arXiv 2210.06551, Sec. 3.4)."""

import torch.nn.functional as F
from torch import Tensor, nn

from mofm.models.heads import ActionClsHead, OneShotHead
from mofm.models.layers.probe_norm import ProbeBatchNorm
from mofm.registry import MODELS
from mofm.structures import MotionFeatures

from ..dstformer import NUM_JOINTS


def pool(tokens: Tensor, dropout: nn.Module) -> Tensor:
    """Apply dropout to each token and average each joint over persons and frames.

    Args:
        tokens (Tensor): (B, M * T * J, C), joints innermost; padded persons count.
        dropout (nn.Module): Dropout layer.

    Returns:
        Tensor: (B, J * C).
    """
    return dropout(tokens).unflatten(1, (-1, NUM_JOINTS)).mean(1).flatten(1)


@MODELS.register_module()
class MotionBERTClsHead(ActionClsHead):
    """Two-layer classifier with batch norm on the mean representation of each joint.

    Args:
        num_classes (int): K.
        in_channels (int): C. Defaults to 512.
        hidden_channels (int): Hidden width. Defaults to 2048.
        dropout (float): Dropout probability. Defaults to 0.5.
        **kwargs: Arguments of :class:`ActionClsHead`.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 512,
                 hidden_channels: int = 2048,
                 dropout: float = 0.5,
                 **kwargs):
        super().__init__(num_classes, hidden_channels, dropout, **kwargs)
        self.fc1 = nn.Linear(NUM_JOINTS * in_channels, hidden_channels)
        self.bn = ProbeBatchNorm(hidden_channels)
        self.fc2 = self.fc  # its name in the released checkpoints
        del self.fc

    def init_weights(self):
        """Keep PyTorch's default initialization, as in the released models."""

    def forward(self, features: MotionFeatures) -> Tensor:
        """Compute class scores (B, K)."""
        x = self.fc1(pool(features.tokens, self.dropout))
        return self.fc2(F.relu(self.bn(x)))


@MODELS.register_module()
class MotionBERTOneShotHead(OneShotHead):
    """Linear embedding with L2 normalization on the mean representation of each joint.

    Args:
        in_channels (int): C. Defaults to 512.
        out_channels (int, optional): E. None returns the representations. Defaults to 2048.
        dropout (float): Dropout probability. Defaults to 0.1.
        loss (dict, optional): See :class:`OneShotHead`.
        probe_norm (bool): See :class:`OneShotHead`. Defaults to False.
    """

    def __init__(self,
                 in_channels: int = 512,
                 out_channels: int | None = 2048,
                 dropout: float = 0.1,
                 loss: dict | None = None,
                 probe_norm: bool = False):
        super().__init__(NUM_JOINTS * in_channels, out_channels, dropout, loss, probe_norm)
        self.fc1 = self.fc  # its name in the released checkpoints
        del self.fc

    def init_weights(self):
        """Keep PyTorch's default initialization, as in the released models."""

    def forward(self, features: MotionFeatures) -> Tensor:
        """Compute embeddings (B, E) of unit length."""
        return F.normalize(self.fc1(self.norm(pool(features.tokens, self.dropout))), dim=1)
