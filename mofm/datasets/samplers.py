"""Samplers of batches."""

from collections.abc import Iterator, Sequence, Sized

import numpy as np
from mmengine.dataset import ConcatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mofm.registry import DATA_SAMPLERS

_CHUNK = 2**16  # indices that are converted at once


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(Sampler):
    """Sampler of batches of a few classes with the same number of distinct samples each.

    For losses that compare samples of a batch, e.g. :class:`SupConLoss`. The classes of a batch
    are drawn uniformly, the samples of a class without replacement in random order. An epoch has
    about as many samples as the data set. Use
    ``sampler=dict(type='ClassBalancedSampler', batch_size=16, per_class=2)`` in a dataloader with
    ``batch_size=16``.

    Args:
        dataset (Sized): Data set, or a wrapper of MMEngine, whose ``get_data_info`` has ``label``.
        batch_size (int): Batch size per rank, that of the dataloader. Defaults to 16.
        per_class (int): Samples per class in a batch. Defaults to 2.
        seed (int, optional): Seed, equal on all ranks. Random by default.

    Raises:
        ValueError: If batch size, number of classes and samples per class do not match.
    """

    def __init__(self, dataset: Sized, batch_size: int = 16, per_class: int = 2,
                 seed: int | None = None):
        if per_class < 1 or batch_size < per_class or batch_size % per_class:
            raise ValueError(f'batch_size: found {batch_size}, expected a positive multiple of '
                             f'per_class={per_class}')
        labels = np.array([dataset.get_data_info(i)['label'] for i in range(len(dataset))])
        self.classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.batch_size = batch_size
        self.per_class = per_class
        self.classes_per_batch = batch_size // per_class
        if len(self.classes) < self.classes_per_batch:
            raise ValueError(f'batch_size: found {batch_size} = {self.classes_per_batch} classes '
                             f'x {per_class}, but the data set has {len(self.classes)} classes; '
                             'lower batch_size or raise per_class')
        names = getattr(dataset, 'metainfo', {}).get('classes', ())
        for indices in self.classes:
            if len(indices) < per_class:
                label = int(labels[indices[0]])
                name = f' ({names[label]})' if label < len(names) else ''
                raise ValueError(f'label {label}{name}: found {len(indices)} samples, expected at '
                                 f'least per_class={per_class}; exclude the class with '
                                 'classes=... of the data set, or lower per_class')
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        step = batch_size * self.world_size
        self.num_batches = -(-len(labels) // step)

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this rank batch by batch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        queues = [[] for _ in self.classes]
        # all ranks draw all batches, so that they need no communication
        for batch in range(self.num_batches * self.world_size):
            mine = batch % self.world_size == self.rank
            for c in rng.choice(len(self.classes), self.classes_per_batch, replace=False):
                if len(queues[c]) < self.per_class:
                    queues[c] = rng.permutation(self.classes[c]).tolist()
                samples = [queues[c].pop() for _ in range(self.per_class)]
                if mine:
                    yield from samples

    def __len__(self) -> int:
        """Return the number of samples of this rank per epoch."""
        return self.num_batches * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the batches."""
        self.epoch = epoch


@DATA_SAMPLERS.register_module()
class MixtureSampler(Sampler):
    """Sampler of data sets of a ``ConcatDataset`` with given shares of every epoch.

    Data sets smaller than their share are repeated; larger ones are subsampled anew every epoch.

    Args:
        dataset (ConcatDataset): The data sets.
        weights (Sequence[float], optional): Relative share of each, at least 0. By default
            ``weights`` of the data set, see :class:`MotionCorpus`.
        num_samples (int, optional): Samples per epoch over all ranks. By default the total of all
            data sets.
        seed (int, optional): Seed, equal on all ranks. Random by default.

    Raises:
        ValueError: If the number of weights differs from that of data sets, one is negative, or
            all are 0.
    """

    def __init__(self, dataset: ConcatDataset, weights: Sequence[float] | None = None,
                 num_samples: int | None = None, seed: int | None = None):
        weights = np.array(dataset.weights if weights is None else weights, dtype=np.float64)
        ends = np.array(dataset.cumulative_sizes)
        if weights.shape != ends.shape or not (weights >= 0).all() or not weights.sum() > 0:
            raise ValueError(f'weights: found {weights.tolist()}, expected {len(ends)} numbers, '
                             'one per data set, none negative and not all 0')
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.num_samples = -(-(num_samples or len(dataset)) // self.world_size)
        self.sizes = np.diff(ends, prepend=0)
        self.starts = ends - self.sizes
        # rounded so that the shares sum to the samples of an epoch
        bounds = np.cumsum([0, *weights]) / weights.sum() * self.num_samples * self.world_size
        self.shares = np.diff(bounds.round().astype(int))

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this rank in random order."""
        rng = np.random.default_rng([self.seed, self.epoch])
        parts = []
        for start, size, share in zip(self.starts, self.sizes, self.shares, strict=True):
            rounds = [rng.permutation(size) for _ in range(-(-share // size))]
            parts += [start + indices for indices in rounds[:-1]]
            parts += [start + rounds[-1][:share - size * (len(rounds) - 1)]] if rounds else []
        indices = rng.permutation(np.concatenate(parts))[self.rank::self.world_size]
        for start in range(0, len(indices), _CHUNK):  # as integers of Python take five times more
            yield from indices[start:start + _CHUNK].tolist()

    def __len__(self) -> int:
        """Return the number of samples of this rank per epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the samples."""
        self.epoch = epoch
