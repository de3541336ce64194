"""Batch norm of linear probes (MAE, arXiv 2111.06377), synchronized without a GPU."""

from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from ..losses.global_batch import gather_rows


class ProbeBatchNorm(nn.BatchNorm1d):
    """Batch norm over all processes; torch's SyncBatchNorm does not support the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, D)."""
        if not self.training:
            return super().forward(x)
        return super().forward(gather_rows(x)).chunk(get_world_size())[get_rank()]
