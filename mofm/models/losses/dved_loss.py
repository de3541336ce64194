"""The paper's objective of the dVED: reconstruction and a KL term (MoFM, eq. 7)."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from mofm.registry import MODELS


@MODELS.register_module()
class DVEDLoss(nn.Module):
    """``smooth_l1(reconstruction, U_R) + beta * KL(q || uniform)``.

    The reconstruction is averaged over all elements, the KL over positions.

    Args:
        beta (float): Weight of the KL term, driven by :class:`AnnealHook`. Defaults to 0.
    """

    def __init__(self, beta: float = 0.):
        super().__init__()
        self.beta = beta

    def forward(self, reconstruction: Tensor, target: Tensor, logits: Tensor,
                occupied: Tensor) -> dict:
        """Losses of a batch.

        Args:
            reconstruction (Tensor): (B, F, H, W).
            target (Tensor): U_R, (B, F, H, W).
            logits (Tensor): (B, V, rows, cols).
            occupied (Tensor): (B, K) bool, unused here.

        Returns:
            dict: ``loss_rec`` and ``loss_kl``.
        """
        log_q = logits.log_softmax(1)
        kl = (log_q.exp() * (log_q + math.log(logits.shape[1]))).sum(1).mean()
        return dict(
            loss_rec=F.smooth_l1_loss(reconstruction, target), loss_kl=self.beta * kl)
