"""Clustering of the data set after every epoch, and a concatenation with unique indices."""

import numpy as np
import torch
from mmengine.dataset import ConcatDataset
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mofm.engine.runner.access import get_model, is_resumed, is_training
from mofm.registry import DATASETS, FUNCTIONS, HOOKS

_STATE = 'contrast_memory'


@DATASETS.register_module()
class IndexedConcatDataset(ConcatDataset):
    """Concatenation of data sets with a unique ``sample_idx`` per sample.

    Those of MMEngine's ``ConcatDataset`` restart at 0 in each data set.
    """

    def __getitem__(self, idx: int) -> dict:
        """Return a packed sample."""
        part, _ = self._get_ori_dataset_idx(idx)
        sample = super().__getitem__(idx)
        packed = sample['data_samples']  # possibly of another sample, in place of a damaged one
        packed.set_field(packed.sample_idx + self._start(part), 'sample_idx',
                         field_type='metainfo')
        return sample

    def get_data_info(self, idx: int) -> dict:
        """Return an annotation with the ``sample_idx`` of its packed sample."""
        part, _ = self._get_ori_dataset_idx(idx)
        info = super().get_data_info(idx)
        return dict(info, sample_idx=info['sample_idx'] + self._start(part), part=part)

    def _start(self, part: int) -> int:
        return self.cumulative_sizes[part - 1] if part else 0


@HOOKS.register_module()
class ClusterHook(Hook):
    """Hook that clusters the bank of a :class:`MotionContrast` after each epoch.

    The processes share the clustering. The main process logs ``clusters``, their number;
    ``noise``, the share of samples without a cluster; ``largest``, the share of the largest;
    ``cosine``, mean of all pairs, 1 if the features have collapsed; and, if the samples have
    different labels, ``nmi`` and ``purity`` over the samples with a cluster. These are computed
    per part of an :class:`IndexedConcatDataset`, whose labels are unrelated, and averaged with
    the numbers of samples as weights.

    Clusters, bank and queue are part of the checkpoints, to resume from.

    Args:
        clustering (dict): Clustering of the bank. Defaults to :class:`ClusterDBSCAN`.
        warmup_epochs (int): Epochs before the first clustering, in which every sample is its own
            cluster. Defaults to 1.

    Raises:
        ValueError: If ``warmup_epochs`` is negative; when training starts, see
            :meth:`MotionContrast.prepare`; when it is resumed, if the checkpoint lacks clusters,
            bank or queue.
    """

    priority = 'NORMAL'  # before the checkpoint is written

    def __init__(self, clustering: dict | None = None, warmup_epochs: int = 1):
        if warmup_epochs < 0:
            raise ValueError(f'warmup_epochs: found {warmup_epochs}, expected at least 0')
        self.clustering = FUNCTIONS.build(clustering or dict(type='ClusterDBSCAN'))
        self.warmup_epochs = warmup_epochs
        self.labels = self.parts = None

    def before_run(self, runner):
        """Pass the ids of the samples to the model, before a checkpoint is resumed."""
        if not is_training(runner):
            return
        dataset = runner.train_dataloader.dataset
        infos = (dataset.get_data_info(i) for i in range(len(dataset)))
        ids, labels, parts = zip(*((info['frame_dir'], info['label'], info.get('part', 0))
                                   for info in infos), strict=True)
        self.labels, self.parts = np.array(labels), np.array(parts)
        get_model(runner).prepare(ids)

    def after_train_epoch(self, runner):
        """Cluster, and log statistics."""
        if runner.epoch + 1 < self.warmup_epochs:
            return
        memory = get_model(runner).memory
        found = self.clustering(memory.bank)
        memory.clusters.copy_(found.labels)
        memory.eps = found.eps
        if is_main_process():
            self._log(runner, memory)

    def _log(self, runner, memory):
        features = memory.bank.float()
        seen = features.any(1).cpu().numpy()
        clusters = memory.clusters.cpu().numpy()
        sizes = np.bincount(clusters[clusters >= 0], minlength=1)
        total = max(1, seen.sum())
        values = dict(
            clusters=int((sizes > 0).sum()), noise=1 - sizes.sum() / total,
            largest=sizes.max() / total, eps=memory.eps, cosine=_mean_cosine(features, total),
            **agreement(clusters, self.labels, self.parts))
        for name, value in values.items():
            runner.message_hub.update_scalar(f'train/{name}', float(value))
        runner.logger.info(f'Epoch(cluster) [{runner.epoch + 1}] samples: {total}  ' + '  '.join(
            f'{name}: {value:.4g}' for name, value in values.items()))

    def before_save_checkpoint(self, runner, checkpoint: dict):
        """Add clusters, bank and queue."""
        checkpoint[_STATE] = get_model(runner).memory.state()

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Restore clusters, bank and queue."""
        if not is_resumed(runner) or not is_training(runner):
            return
        if _STATE not in checkpoint:
            raise ValueError('checkpoint: found no queue and clusters, expected those of a '
                             'training with ClusterHook; to start from its weights use '
                             '--cfg-options load_from=')
        get_model(runner).memory.restore(checkpoint[_STATE])


def _mean_cosine(features: torch.Tensor, total: int) -> float:
    """Average the cosines of all pairs of different unit rows, without rows of 0."""
    return float((features.sum(0).square().sum() - total) / max(1, total * (total - 1)))


def agreement(clusters: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> dict:
    """Measure the agreement of clusters and labels, over the samples with a cluster.

    Args:
        clusters (np.ndarray): (N,), -1 for none.
        labels (np.ndarray): (N,).
        parts (np.ndarray): (N,) data set of each sample; labels of different ones are unrelated.

    Returns:
        dict: ``nmi``, normalized mutual information, and ``purity``, share of the samples with
        the most frequent label of their cluster, both in [0, 1]. Means over the parts with more
        than one label, weighted by samples; empty if there is none.
    """
    from sklearn.metrics import normalized_mutual_info_score  # heavy, and needed here only
    from sklearn.metrics.cluster import contingency_matrix

    sums, total = np.zeros(2), 0
    for part in np.unique(parts):
        inside = (parts == part) & (clusters >= 0)
        if len(np.unique(labels[parts == part])) < 2 or not inside.any():
            continue
        true, found = labels[inside], clusters[inside]
        sums += inside.sum() * normalized_mutual_info_score(true, found), contingency_matrix(
            true, found).max(0).sum()
        total += inside.sum()
    return dict(zip(('nmi', 'purity'), sums / total, strict=True)) if total else {}
