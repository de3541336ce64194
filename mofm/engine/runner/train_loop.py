"""Train loop that resumes at any iteration as if it had never stopped.

Randomness has no state: what is drawn for a sample or for an iteration depends on its place in the
training only, so there is nothing to save and nothing to replay.
"""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mofm.registry import LOOPS

#: Settings of a DataLoader that do not concern which samples there are.
_LOADING = ('num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn',
            'multiprocessing_context', 'generator', 'prefetch_factor', 'persistent_workers')


def draw_seeds(seed: int, *place: int, count: int = 1) -> list[list[int]]:
    """Seeds for ``random``, NumPy and PyTorch.

    Args:
        seed (int): Seed of the training, at least 0.
        place (int): Rank, then iteration, or epoch and batch; each at least 0.
        count (int): How many times three seeds. Defaults to 1.

    Returns:
        list[list[int]]: (count, 3), 32 bits each. Hashed by :class:`numpy.random.SeedSequence`,
        so neighbors have nothing in common.
    """
    words = np.random.SeedSequence(seed, spawn_key=place).generate_state(3 * count)
    return words.reshape(count, 3).tolist()


class _Wrapper:
    """Passes on what it does not define itself."""

    def __init__(self, wrapped):
        self.wrapped = wrapped

    def __len__(self) -> int:
        return len(self.wrapped)

    def __getattr__(self, name: str):
        if name.startswith('__'):  # __getitems__ would go around the seeds
            raise AttributeError(name)
        return getattr(self.wrapped, name)


class SeededDataset(_Wrapper):
    """Each sample is made with generators of its own; its key is (index, seeds)."""

    def __getitem__(self, key):
        index, (python, numpy, pytorch) = key
        random.seed(python)
        np.random.seed(numpy)
        torch.default_generator.manual_seed(pytorch)  # the CPU's: no sample is made elsewhere
        return self.wrapped[index]


class SeededBatchSampler(_Wrapper):
    """Batches of keys for :class:`SeededDataset`, from any batch on."""

    def set_place(self, seed: int, epoch: int, start: int, offset: int = 0):
        """What the next iteration over the batches yields: those of an epoch after ``start``.

        Args:
            seed (int): Seed of the training.
            epoch (int): Number of the epoch.
            start (int): The first batch.
            offset (int): Batches of other loaders that the epoch has before. Defaults to 0.
        """
        self.seed = seed
        self.epoch = epoch
        self.start = start
        self.offset = offset

    def __iter__(self):
        for batch, indices in enumerate(self.wrapped):
            if batch >= self.start:
                yield list(
                    zip(indices,
                        draw_seeds(self.seed,
                                   get_rank(),
                                   self.epoch,
                                   self.offset + batch,
                                   count=len(indices)),
                        strict=True))


def make_resumable(loader: DataLoader) -> DataLoader:
    """The same loader, whose batches can be made without those before them.

    Args:
        loader (DataLoader): Batches of a data set with ``__getitem__``.

    Returns:
        DataLoader: Its ``batch_sampler`` is a :class:`SeededBatchSampler`, whose place is set
        before each iteration.

    Raises:
        TypeError: If the data set is an iterable one, or is not read in batches.
    """
    if getattr(loader, 'batch_sampler', None) is None:
        raise TypeError(f'train_dataloader: found {type(loader.dataset).__name__} without '
                        'a batch sampler, expected a data set with __getitem__ and a '
                        'batch_size')
    return DataLoader(
        SeededDataset(loader.dataset), batch_sampler=SeededBatchSampler(loader.batch_sampler),
        **{name: getattr(loader, name) for name in _LOADING})


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which also stops and resumes within one.

    - A sample is made with generators seeded by (seed, rank, epoch, batch, place in the batch):
      the number of workers does not matter, and a batch can be made without those before it.
    - An iteration starts with generators seeded by (seed, rank, iteration), for dropout and the
      like.
    - A checkpoint from the middle of an epoch is resumed there; batches that were trained on are
      not read again. If epochs have another number of batches now, because of another batch size,
      number of processes or data set, its epoch is restarted.
    - ``stop_training``, set in the middle of an epoch, ends the training after the iteration:
      nothing that belongs to the end of an epoch is run, no validation either.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Batches of a data set with ``__getitem__``.
        max_epochs, val_begin, val_interval, dynamic_intervals: See MMEngine's
            ``EpochBasedTrainLoop``.

    Raises:
        TypeError: If the data set is an iterable one, or is not read in batches.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, max_epochs: int, **kwargs):
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.dataloader = make_resumable(self.dataloader)

    def iters_before(self, epoch: int) -> int:
        """Iterations of the training before an epoch."""
        return epoch * len(self.dataloader)

    def set_place(self, start: int):
        """What the next iteration over the loader yields: this epoch's batches after ``start``."""
        self.dataloader.batch_sampler.set_place(self.runner.seed, self._epoch, start)

    def run(self) -> torch.nn.Module:
        """Train; returns the model."""
        self._check_epoch_length()
        self.runner.call_hook('before_train')
        while self._epoch < self._max_epochs and not self.stop_training:
            epoch = self._epoch
            self.run_epoch()
            if self._epoch == epoch:
                break
            self._decide_current_val_interval()
            if (self.runner.val_loop is not None and self._epoch >= self.val_begin
                    and (self._epoch % self.val_interval == 0
                         or self._epoch == self._max_epochs)):
                self.runner.val_loop.run()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _check_epoch_length(self):
        """Restart the epoch of a resumed checkpoint if it has another number of batches."""
        info = self.runner.message_hub.get_info
        epochs = info('max_epochs', self._max_epochs)
        found, saved = self.iters_before(epochs), info('max_iters', self._max_iters)
        if self._iter and found != saved:
            resumed, self._iter = self._iter, self.iters_before(self._epoch)
            self.runner.optim_wrapper.initialize_count_status(
                self.runner.model, self._iter, self._max_iters)
            self.runner.logger.warning(
                f'train_dataloader: found {found / epochs:g} batches in an epoch, '
                f'{saved / epochs:g} in the checkpoint; epoch {self._epoch + 1} starts with its '
                f'first batch, as iteration {self._iter} instead of {resumed}')

    def run_epoch(self) -> None:
        """One epoch, or what is left of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        start = self._iter - self.iters_before(self._epoch)
        self.set_place(start)
        for idx, data_batch in enumerate(self.dataloader, start):
            self.run_iter(idx, data_batch)
            if self.stop_training:
                return
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """One iteration, with generators of its own."""
        (python, numpy, pytorch), = draw_seeds(self.runner.seed, get_rank(), self._iter)
        random.seed(python)
        np.random.seed(numpy)
        torch.manual_seed(pytorch)
        super().run_iter(idx, data_batch)
