"""Contrastive loss of T-MOR (arXiv 2606.21607, eq. 1 to 8) and its positive and negative pairs.

An anchor i has its own key, which is always positive, and is compared with entries of a queue:

- L_mm: query and keys are projections of motions. Entries of the same cluster are positive.
- L_mv: keys are projections of videos; only the own one is positive.
- L_mt: keys are projections of texts; entries with the same text as the anchor are ignored.
"""

import torch
from torch import Tensor, nn

from mofm.registry import MODELS


def cluster_pairs(anchors: Tensor, entries: Tensor, clusters: Tensor) -> tuple:
    """Determine the positive and negative entries of each anchor.

    Entries of the same cluster are positive, those of other clusters negative. A sample without a
    cluster has no positives, and all other samples are negative.

    Args:
        anchors (Tensor): (B,) data-set indices.
        entries (Tensor): (E,) data-set indices.
        clusters (Tensor): (N,) cluster of each sample of the data set, -1 for none.

    Returns:
        tuple[Tensor, Tensor]: Positive and negative pairs, both (B, E) bool.
    """
    cluster = clusters[anchors][:, None]
    positive = (cluster == clusters[entries]) & (cluster >= 0)
    return positive, ~positive & (anchors[:, None] != entries)


@MODELS.register_module()
class ClusterContrastLoss(nn.Module):
    """Loss ``mean_i -log(S_align / (S_align + S_disc))`` with sums S of exp(cosine / t).

    S_align is over the own key and the positive entries, S_disc over the negative ones. The sum
    over positives is inside the logarithm, unlike that of :class:`mofm.models.SupConLoss`.

    Args:
        temperature (float): t. Defaults to 0.07.

    Raises:
        ValueError: If the temperature is not positive.
    """

    def __init__(self, temperature: float = 0.07):
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature: found {temperature}, expected a positive number')
        self.temperature = temperature

    def forward(self, query: Tensor, key: Tensor, entries: Tensor, negative: Tensor,
                positive: Tensor | None = None) -> Tensor:
        """Compute the loss of a batch. Queries, keys and entries are unit vectors.

        Args:
            query (Tensor): (B, D).
            key (Tensor): (B, D), the own keys.
            entries (Tensor): (E, D), E >= 0.
            negative (Tensor): (B, E) bool.
            positive (Tensor, optional): (B, E) bool. None if only the own key is.

        Returns:
            Tensor: Scalar, at least 0.
        """
        own = (query * key).sum(1, keepdim=True) / self.temperature  # (B, 1)
        others = query @ entries.T / self.temperature  # (B, E)

        def log_sum(chosen):
            return torch.cat([own, others.masked_fill(~chosen, -torch.inf)], 1).logsumexp(1)

        if positive is None:
            return (log_sum(negative) - own[:, 0]).mean()
        return (log_sum(positive | negative) - log_sum(positive)).mean()
