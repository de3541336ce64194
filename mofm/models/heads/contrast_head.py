"""Contrast of two views of a motion by a momentum encoder.

MoCo v3 (arXiv 2104.02057: projection, prediction) with the queue of MoCo (arXiv 1911.05722), as
batches on a CPU are small; the query is masked, as in SLiM (arXiv 2603.10648).
"""

import torch
import torch.nn.functional as F
from mmengine.dist import get_rank
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from ..layers.probe_norm import ProbeBatchNorm
from ..losses.global_batch import gather_rows
from ..precision import full_precision


def _perceptron(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_channels, hidden), ProbeBatchNorm(hidden), nn.GELU(),
                         nn.Linear(hidden, out_channels))


@MODELS.register_module()
class ContrastHead(BaseModule):
    """InfoNCE between the masked first view of a clip and the second view.

    ``-log exp(q k / t) / (exp(q k / t) + sum_n exp(q n / t))`` with unit vectors: q is the
    prediction from the projected features of the query, k the projected features of the other
    view by the momentum encoder, n those of the other clips of all processes and of the queue.

    Args:
        backbone (nn.Module): Backbone of the queries, which the momentum encoder follows.
        in_channels (int): Width of its pooled features.
        weight (float): Weight of the loss. Defaults to 0.3.
        hidden_channels (int): Hidden width of projection and prediction. Defaults to 512.
        out_channels (int): Width E of queries and keys. Defaults to 256.
        queue_size (int): Q, number of keys that are kept. Defaults to 1024.
        temperature (float): t. Defaults to 0.2.
        momentum (float): Share of the momentum encoder that a step keeps. Defaults to 0.99.

    Raises:
        ValueError: If temperature or momentum is out of range.
    """

    def __init__(self,
                 backbone: nn.Module,
                 in_channels: int,
                 weight: float = 0.3,
                 hidden_channels: int = 512,
                 out_channels: int = 256,
                 queue_size: int = 1024,
                 temperature: float = 0.2,
                 momentum: float = 0.99):
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature: found {temperature}, expected a positive number')
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum: found {momentum}, expected a share in [0, 1)')
        self.weight = weight
        self.temperature = temperature
        self.project = _perceptron(in_channels, hidden_channels, out_channels)
        self.predict = _perceptron(out_channels, hidden_channels, out_channels)
        # the first update copies the trained weights
        self.momentum_encoder = AveragedModel(
            nn.ModuleList([backbone, self.project]),
            multi_avg_fn=get_ema_multi_avg_fn(momentum)).requires_grad_(False)
        self.register_buffer('queue', torch.zeros(queue_size, out_channels))
        self.register_buffer('written', torch.tensor(0))

    def forward(self, backbone: nn.Module, pooled: Tensor, views: ThermalCubes) -> dict:
        """Compute the loss and the share of queries nearest to their own key.

        Args:
            backbone (nn.Module): Backbone after the last step.
            pooled (Tensor): (B, C) features of the queries.
            views (ThermalCubes): B other views.

        Returns:
            dict: ``loss_contrast`` and ``contrast_acc``.
        """
        with torch.no_grad():
            self.momentum_encoder.update_parameters(nn.ModuleList([backbone, self.project]))
            encoder, project = self.momentum_encoder.module
            features = encoder(views).pooled.float()
        with full_precision(pooled):
            query = F.normalize(self.predict(self.project(pooled.float())), dim=1)
            with torch.no_grad():
                own = F.normalize(project(features), dim=1)
            keys = gather_rows(own)
            filled = self.queue[:min(int(self.written), len(self.queue))].clone()
            similarity = query @ torch.cat([keys, filled]).T
            itself = get_rank() * len(own) + torch.arange(len(own), device=own.device)
            loss = F.cross_entropy(similarity / self.temperature, itself)
        self._write(keys)
        return dict(loss_contrast=self.weight * loss,
                    contrast_acc=(similarity.argmax(1) == itself).float().mean())

    def _write(self, keys: Tensor):
        """Replace the oldest keys of the queue."""
        slots = (self.written + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue[slots] = keys
        self.written += len(keys)
