"""Batch norm of linear probes (MAE, arXiv 2111.06377), synchronized without a GPU."""

from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from ..losses.global_batch import gather_rows


class ProbeBatchNorm(nn.BatchNorm1d):
    """Batch norm over all processes; torch's SyncBatchNorm does not support the CPU.

    Without affine parameters, features that were constant in the training, such as those of joints
    that the data set lacks, are 0 in evaluation: divided by their deviation, they would outweigh
    all others when another source has these joints.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, D)."""
        if not self.training:
            out = super().forward(x)
            if self.affine:
                return out
            count = self.num_batches_tracked
            initial = (1 - self.momentum) ** count  # what is left of the initial variance, 1
            return out * ((self.running_var > self.eps + initial) | (count == 0))
        return super().forward(gather_rows(x)).chunk(get_world_size())[get_rank()]
