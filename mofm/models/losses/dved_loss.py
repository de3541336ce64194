"""Objective of the dVED in the paper: reconstruction and a KL term (MoFM, eq. 5)."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import ThermalCubes


@MODELS.register_module()
class DVEDLoss(nn.Module):
    """Loss ``smooth_l1(reconstruction, U_R) + beta * KL(q || uniform)``.

    The reconstruction is averaged over all elements, the KL over positions.

    Args:
        beta (float): Weight of the KL term, driven by :class:`AnnealHook`. Defaults to 0.
    """

    def __init__(self, beta: float = 0.):
        super().__init__()
        self.beta = beta

    def kl(self, logits: Tensor) -> Tensor:
        """Compute the KL divergence of token distributions (B, V, rows, cols) from uniform."""
        log_q = logits.log_softmax(1)
        return (log_q.exp() * (log_q + math.log(logits.shape[1]))).sum(1).mean()

    def forward(self, tokenizer: nn.Module, inputs: ThermalCubes, logits: Tensor) -> dict:
        """Compute the losses of a batch.

        Args:
            tokenizer (DVEDTokenizer): Tokenizer to sample and reconstruct.
            inputs (ThermalCubes): B clips.
            logits (Tensor): (B, V, rows, cols).

        Returns:
            dict: ``loss_rec`` and ``loss_kl``.
        """
        reconstruction = tokenizer.rebuild(tokenizer.sample(logits))
        return dict(
            loss_rec=F.smooth_l1_loss(reconstruction, inputs.union()),
            loss_kl=self.beta * self.kl(logits))
