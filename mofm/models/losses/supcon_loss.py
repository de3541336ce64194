"""Supervised contrastive loss (Khosla et al., arXiv 2004.11362, eq. 2)."""

import torch
from torch import Tensor, nn

from mofm.registry import MODELS

from .global_batch import gather_rows


@MODELS.register_module()
class SupConLoss(nn.Module):
    """Contrastive loss between embeddings of the same and of other classes.

    ``mean_i [-(t / t_base) / |P(i)| sum_{p in P(i)} (s_ip / t - log sum_{a != i} exp(s_ia / t))]``
    with similarity s and P(i), the other samples with the label of sample i, on all processes.

    Args:
        temperature (float): t. Defaults to 0.1.
        base_temperature (float): t_base, a constant factor of the loss, unscaled if equal to t.
            Defaults to 0.07, as published.

    Raises:
        ValueError: If a temperature is not positive.
    """

    def __init__(self, temperature: float = 0.1, base_temperature: float = 0.07):
        super().__init__()
        if temperature <= 0 or base_temperature <= 0:
            raise ValueError(f'temperature: found {temperature} and base {base_temperature}, '
                             'expected positive numbers')
        self.temperature = temperature
        self.base_temperature = base_temperature

    def forward(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of the batches of all processes.

        Args:
            embedding (Tensor): (B, E) of length 1, same B on each process.
            labels (Tensor): (B,).

        Returns:
            Tensor: Scalar.

        Raises:
            ValueError: If a label occurs only once.
        """
        embedding, labels = gather_rows(embedding), gather_rows(labels)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive = (labels[:, None] == labels) & ~itself  # (B, B)
        count = positive.sum(1)
        if not count.all():
            raise ValueError(f'labels: found one sample of label {int(labels[count.argmin()])} '
                             f'in a batch of {len(labels)}, expected at least two per label; use '
                             "sampler=dict(type='ClassBalancedSampler', batch_size=..., "
                             'per_class=2) with the batch_size of the dataloader')
        logits = embedding @ embedding.T / self.temperature
        log_prob = logits.masked_fill(itself, -torch.inf).log_softmax(1)
        per_sample = -log_prob.masked_fill(~positive, 0).sum(1) / count
        return self.temperature / self.base_temperature * per_sample.mean()
