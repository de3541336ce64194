"""Contrastive learning of motions, videos and texts (T-MOR, arXiv 2606.21607, Sec. II)."""

import logging
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, broadcast, get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.model import BaseModel, ModuleDict, Sequential
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mofm.models.init_cfg import load_init_cfg
from mofm.models.losses.global_batch import gather_rows
from mofm.models.precision import full_precision
from mofm.registry import MODELS
from mofm.structures import MotionFeatures

from ..language.tables import FeatureTable
from .losses import cluster_pairs
from .queue import ContrastMemory

#: Loss of a modality.
TERMS = dict(visual='mv', text='mt')
# Rows of float16 with at least this cosine are features of the same text.
_SAME_TEXT = 1 - 1e-4


@MODELS.register_module()
class ProjectionHead(Sequential):
    """Projection phi of a modality: two layers with ReLU between them and L2 normalization.

    Args:
        in_channels (int): C. Defaults to 256.
        out_channels (int): D, the same for all modalities. Defaults to 128.
        hidden_channels (int, optional): Width of the first layer. Defaults to C.
        init_cfg (dict, optional): Weights to start from.
    """

    def __init__(self, in_channels: int = 256, out_channels: int = 128,
                 hidden_channels: int | None = None, init_cfg: dict | None = None):
        hidden_channels = hidden_channels or in_channels
        super().__init__(nn.Linear(in_channels, hidden_channels), nn.ReLU(),
                         nn.Linear(hidden_channels, out_channels), init_cfg=init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels

    def init_weights(self):
        """Load the weights of ``init_cfg``, if any; the constructor initializes the others."""
        if self.init_cfg:
            load_init_cfg(self)

    def forward(self, x: Tensor) -> Tensor:
        """Project features (B, C) to unit vectors (B, D)."""
        return F.normalize(super().forward(x), dim=1)


@MODELS.register_module()
class MotionContrast(BaseModel):
    """Contrast of motions with each other (L_mm), with videos (L_mv) and with texts (L_mt).

    Each sample has two clips, query and key. Keys come from a momentum encoder (MoCo,
    arXiv 1911.05722), whose batches are shuffled over the processes, and are stored in a queue;
    its features are kept for the clustering. Without a momentum encoder the keys of the batch are
    used (SimCLR, arXiv 2002.05709). This is better in a single process, where query and key share
    the statistics of batch norm, which distinguish the own key from those of the queue.

    :class:`ClusterHook` calls :meth:`prepare` before training.

    Args:
        backbone (dict): Encoder E_M.
        heads (dict): Projections, :class:`ProjectionHead` by modality: ``motion``, and those of
            ``tables``.
        tables (dict): Feature tables (:class:`FeatureTable`) by modality, ``visual`` and ``text``,
            with a row for each ``frame_dir``. Defaults to none.
        weights (dict): Weights of the losses ``mm``, ``mv`` and ``mt``. Defaults to 1 for ``mm``
            and for each table; 0 disables a loss.
        loss (dict, optional): Defaults to :class:`ClusterContrastLoss`.
        momentum (float, optional): Momentum of the key encoder per step. None for keys of the
            batch. Defaults to 0.999.
        queue_size (int): K, 0 for keys of the batch. Defaults to 65536.
        mv_cluster_positives (bool): Videos of the same cluster are positive as well, as in L_mm.
            Defaults to False: only that of the same sequence is.
        num_negatives (int, optional): Entries drawn in each step for L_mv and L_mt. Defaults to
            all in the queue.
        data_preprocessor (dict, optional): Preprocessor of the clips.

    Raises:
        ValueError: If heads, tables and weights, or momentum and queue do not match.
    """

    def __init__(self,
                 backbone: dict,
                 heads: dict,
                 tables: dict | None = None,
                 weights: dict | None = None,
                 loss: dict | None = None,
                 momentum: float | None = 0.999,
                 queue_size: int = 65536,
                 mv_cluster_positives: bool = False,
                 num_negatives: int | None = None,
                 data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.tables = dict(tables or {})
        if not self.tables.keys() <= TERMS.keys() or set(heads) != {'motion', *self.tables}:
            raise ValueError(f'heads: found {sorted(heads)} with tables {sorted(self.tables)}, '
                             f'expected motion and one for each table, of {sorted(TERMS)}')
        terms = ['mm', *(TERMS[name] for name in self.tables)]
        self.weights = dict.fromkeys(terms, 1.) | dict(weights or {})
        if set(self.weights) != set(terms) or not any(self.weights.values()):
            raise ValueError(f'weights: found {self.weights}, expected some of {terms}, not all '
                             '0; mv and mt need the tables visual and text')
        if (momentum is None) != (queue_size == 0):
            raise ValueError(f'queue_size: found {queue_size} with momentum={momentum}, expected '
                             'a queue of keys of the momentum encoder, or momentum=None and '
                             'queue_size=0')
        if momentum is not None and not 0 <= momentum < 1:
            raise ValueError(f'momentum: found {momentum}, expected a share in [0, 1)')
        self.backbone = MODELS.build(backbone)
        self.heads = ModuleDict({name: MODELS.build(head) for name, head in heads.items()})
        self.criterion = MODELS.build(loss or dict(type='ClusterContrastLoss'))
        self.momentum_encoder = None
        if momentum is not None:
            # the first update copies the trained weights
            self.momentum_encoder = AveragedModel(
                self._encoder(), multi_avg_fn=get_ema_multi_avg_fn(momentum)).requires_grad_(False)
        self.queue_size = queue_size
        self.mv_cluster_positives = mv_cluster_positives
        self.num_negatives = num_negatives
        self.memory: ContrastMemory | None = None

    def _encoder(self) -> nn.ModuleList:
        return nn.ModuleList([self.backbone, self.heads['motion']])

    def prepare(self, ids: Sequence[str]):
        """Create the memory of a data set and load its rows of the tables.

        Args:
            ids (Sequence[str]): ``frame_dir`` of each sample, in the order of its index.

        Raises:
            ValueError: If the queue is larger than the data set, or a table lacks rows or has
                another width than its head.
        """
        device, head = next(self.parameters()).device, self.heads['motion']
        self.memory = ContrastMemory(len(ids), head.in_channels, head.out_channels,
                                     self.queue_size).to(device)
        for name, path in self.tables.items():
            rows = torch.from_numpy(FeatureTable.load(path).lookup(ids))
            width = self.heads[name].in_channels
            if rows.shape[1] != width:
                raise ValueError(f'{path}: found features of width {rows.shape[1]}, expected '
                                 f'{width}, in_channels of heads.{name}')
            self.register_buffer(f'{name}_table', rows.to(device), persistent=False)
        if self.queue_size and get_world_size() == 1 and any(
                isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))
                for module in self.backbone.modules()):
            print_log('one process: query and key share the statistics of batch norm, which '
                      'distinguish them from the queue (MoCo, Sec. 3.3); use several processes, '
                      'or momentum=None and queue_size=0', 'current', logging.WARNING)

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'):
        """Compute losses ('loss'), data samples ('predict') or :class:`MotionFeatures` ('tensor').

        Args:
            inputs (Tensor): (B * clips, M, T, J, C), for 'loss' query and key of each sample.
            data_samples (list, optional): B, for 'loss' with ``sample_idx``.
            mode (str): 'loss', 'predict' or 'tensor'.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        features = self.backbone(inputs)
        return self.predict(features, data_samples) if mode == 'predict' else features

    def predict(self, features: MotionFeatures, data_samples: list) -> list:
        """Set ``embedding``, a unit vector (C,), the mean over the clips of a sample."""
        pooled = F.normalize(features.pooled.float(), dim=1)
        pooled = pooled.view(len(data_samples), -1, pooled.shape[1]).mean(1)
        for sample, vector in zip(data_samples, F.normalize(pooled, dim=1), strict=True):
            sample.embedding = vector
        return data_samples

    def loss(self, inputs: Tensor, data_samples: list) -> dict:
        """Compute the weighted losses and two indicators of collapse.

        Returns:
            dict: ``loss_mm``, ``loss_mv`` and ``loss_mt``; ``nearest``, the share of queries that
            are nearer to their own key than to every negative; ``spread``, standard deviation of
            the queries, 0 if all are equal and 1 if they are uniformly distributed.

        Raises:
            ValueError: If the samples do not have two views, or :meth:`prepare` was not called.
        """
        if self.memory is None:
            raise ValueError('memory: found none, expected that of the data set; add '
                             "dict(type='ClusterHook') to custom_hooks")
        if len(inputs) != 2 * len(data_samples):
            raise ValueError(f'inputs: found {len(inputs)} clips of {len(data_samples)} samples, '
                             'expected two each, query and key; add TwoViews to the pipeline')
        anchors = torch.tensor([s.sample_idx for s in data_samples], device=inputs.device)
        indices = gather_rows(anchors)
        query, features, keys = self._views(inputs)
        own = keys.chunk(get_world_size())[get_rank()]
        entries, entry_indices = self.memory.entries() if self.queue_size else (keys, indices)
        positive, negative = cluster_pairs(anchors, entry_indices, self.memory.clusters)
        if not self.queue_size:  # the entries include the own key
            positive &= anchors[:, None] != entry_indices
        with full_precision(query):
            losses = {}
            if self.weights['mm']:
                losses['loss_mm'] = self.criterion(query, own, entries, negative, positive)
            losses.update(self._table_losses(query, anchors, entry_indices, negative, positive))
        with torch.no_grad():
            others = (query @ entries.T).masked_fill(~negative, -1.)
            wins = (query * own).sum(1, keepdim=True) > others
            spread = query.std(0).mean() * query.shape[1]**0.5
        self.memory.write(indices, features, keys)
        return dict({name: self.weights[name[5:]] * value for name, value in losses.items()},
                    nearest=wins.all(1).float().mean(), spread=spread)

    def _views(self, inputs: Tensor) -> tuple:
        """Compute queries (B, D), and features (W * B, C) and keys (W * B, D) of all processes."""
        if self.momentum_encoder is not None:
            pooled = self.backbone(inputs[0::2]).pooled.float()
            with full_precision(pooled):
                query = self.heads['motion'](pooled)
            return query, *self._momentum_keys(inputs[1::2])
        pooled = self.backbone(inputs).pooled.float()
        with full_precision(pooled):
            query, keys = self.heads['motion'](pooled).unflatten(0, (-1, 2)).unbind(1)
        return query, gather_rows(pooled[1::2].detach()), gather_rows(keys)

    @torch.no_grad()
    def _momentum_keys(self, inputs: Tensor) -> tuple:
        """Compute features (W * B, C) and keys (W * B, D) by the momentum encoder.

        Batches are shuffled over the processes, so that query and key of a sample do not share
        the statistics of batch norm (MoCo, Sec. 3.3).
        """
        self.momentum_encoder.update_parameters(self._encoder())
        world, order = get_world_size(), None
        if world > 1:
            inputs = torch.cat(all_gather(inputs.contiguous()))
            order = torch.randperm(len(inputs), device=inputs.device)
            broadcast(order)
            inputs = inputs[order.chunk(world)[get_rank()]]
        backbone, head = self.momentum_encoder.module
        features = backbone(inputs).pooled.float()
        with full_precision(features):
            keys = head(features)
        if order is None:
            return features, keys
        back = order.argsort()
        return gather_rows(features)[back], gather_rows(keys)[back]

    def _table_losses(self, query: Tensor, anchors: Tensor, entries: Tensor, negative: Tensor,
                      positive: Tensor) -> dict:
        """Compute L_mv and L_mt; the entries (E,) are projected anew, so that phi learns."""
        if self.num_negatives is not None and len(entries) > self.num_negatives:
            chosen = torch.randperm(len(entries), device=entries.device)[:self.num_negatives]
            entries, negative, positive = entries[chosen], negative[:, chosen], positive[:, chosen]
        losses = {}
        for name in self.tables:
            if not self.weights[TERMS[name]]:
                continue
            table = self.get_buffer(f'{name}_table')
            own, others = table[anchors].float(), table[entries].float()
            against = negative
            if name == 'text':
                against = negative & (F.normalize(own) @ F.normalize(others).T < _SAME_TEXT)
            with_clusters = name == 'visual' and self.mv_cluster_positives
            phi = self.heads[name]
            losses[f'loss_{TERMS[name]}'] = self.criterion(
                query, phi(own), phi(others), against, positive if with_clusters else None)
        return losses
