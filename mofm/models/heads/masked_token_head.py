"""T-Head: prediction of masked motion tokens (MoFM, Sec. 4.3)."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mofm.registry import MODELS

from ..losses.global_batch import global_mean


@MODELS.register_module()
class MaskedTokenHead(BaseModule):
    """Linear layer over the vocabulary, computed at masked positions only.

    Args:
        vocab_size (int): V. Defaults to 8192.
        in_channels (int): D. Defaults to 768.
    """

    def __init__(self, vocab_size: int = 8192, in_channels: int = 768):
        super().__init__()
        self.vocab_size = vocab_size
        self.fc = nn.Linear(in_channels, vocab_size)

    def init_weights(self):
        """Initialize by a truncated normal, std 0.02."""
        trunc_normal_(self.fc.weight, std=0.02)
        nn.init.zeros_(self.fc.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute logits (N, V) of tokens (N, D)."""
        return self.fc(tokens)

    def loss(self, tokens: Tensor, ids: Tensor) -> dict:
        """Compute cross entropy and accuracy for N masked tokens (N, D) and their IDs (N,).

        ``majority_acc`` is the accuracy of always predicting the most frequent token of the batch.
        """
        logits = self(tokens)
        if not len(ids):  # no keypoint in the batch
            return dict(loss_mask=global_mean(logits.sum(), 0))
        return dict(
            loss_mask=global_mean(F.cross_entropy(logits, ids), len(ids)),
            masked_acc=(logits.argmax(1) == ids).float().mean(),
            majority_acc=(ids == ids.mode().values).float().mean())
