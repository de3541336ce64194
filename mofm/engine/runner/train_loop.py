"""Train loop that resumes exactly at any iteration.

Random numbers of a sample or iteration only depend on its place in the training, so there is no
state to save or replay.
"""

import random

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mofm.engine.optimizers.layer_decay import check_custom_keys
from mofm.registry import LOOPS
from mofm.utils.memory import keep_freed_memory

from .resume import ResumeHook

#: Settings of a DataLoader other than data set and sampling.
_LOADING = ('num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn',
            'multiprocessing_context', 'generator', 'prefetch_factor', 'persistent_workers')


def draw_seeds(seed: int, *place: int, count: int = 1) -> list[list[int]]:
    """Draw seeds for ``random``, NumPy and PyTorch.

    Args:
        seed (int): Seed of the training, at least 0.
        place (int): Rank, then iteration, or epoch and batch; each at least 0.
        count (int): Number of triples of seeds. Defaults to 1.

    Returns:
        list[list[int]]: (count, 3), 32 bits each. Hashed by :class:`numpy.random.SeedSequence`,
        so seeds of neighboring places are independent.
    """
    words = np.random.SeedSequence(seed, spawn_key=place).generate_state(3 * count)
    return words.reshape(count, 3).tolist()


class _Wrapper:
    """Wrapper that forwards the attributes it does not define."""

    def __init__(self, wrapped):
        self.wrapped = wrapped

    def __len__(self) -> int:
        return len(self.wrapped)

    def __getattr__(self, name: str):
        if name.startswith('__'):  # __getitems__ would bypass the seeds
            raise AttributeError(name)
        return getattr(self.wrapped, name)


class SeededDataset(_Wrapper):
    """Data set with one set of seeds per sample; keys are (index, seeds), or an index alone."""

    def __getitem__(self, key):
        if not isinstance(key, tuple):
            return self.wrapped[key]
        index, (python, numpy, pytorch) = key
        random.seed(python)
        np.random.seed(numpy)
        torch.default_generator.manual_seed(pytorch)  # samples are made on the CPU
        return self.wrapped[index]


class SeededBatchSampler(_Wrapper):
    """Sampler of batches of keys for :class:`SeededDataset`, from any batch on."""

    def set_place(self, seed: int, epoch: int, start: int, offset: int = 0):
        """Set the place in the training of the next pass over the batches.

        Args:
            seed (int): Seed of the training.
            epoch (int): Number of the epoch.
            start (int): First batch of the pass.
            offset (int): Batches of other loaders earlier in the epoch. Defaults to 0.
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
    """Make a loader whose batches do not depend on the previous ones.

    Args:
        loader (DataLoader): Batches of a data set with ``__getitem__``.

    Returns:
        DataLoader: Its ``batch_sampler`` is a :class:`SeededBatchSampler`, whose place is set
        before each iteration.

    Raises:
        TypeError: If the data set is iterable, or not read in batches.
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
    """MMEngine's loop over epochs that can stop and resume within an epoch.

    - Samples are seeded by (seed, rank, epoch, batch, place in the batch), so they depend neither
      on the number of workers nor on previous batches.
    - Iterations are seeded by (seed, rank, iteration), for dropout and the like. Validations are
      seeded in the same way, for random masks.
    - A checkpoint from the middle of an epoch is resumed there, without reading earlier batches.
      If the number of batches per epoch has changed, because of another batch size, number of
      processes or data set, the epoch is restarted.
    - ``stop_training``, set in the middle of an epoch, ends the training after the iteration,
      without end-of-epoch hooks and validation.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Batches of a data set with ``__getitem__``.
        max_epochs, val_begin, val_interval, dynamic_intervals: See MMEngine's
            ``EpochBasedTrainLoop``.

    Raises:
        TypeError: If the data set is iterable, or not read in batches.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, max_epochs: int, **kwargs):
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.dataloader = make_resumable(self.dataloader)
        runner.register_hook(ResumeHook())

    def iters_before(self, epoch: int) -> int:
        """Count the iterations before an epoch."""
        return epoch * len(self.dataloader)

    def set_place(self, start: int):
        """Set the first batch of the next pass over the loader in this epoch."""
        self.dataloader.batch_sampler.set_place(self.runner.seed, self._epoch, start)

    def run(self) -> torch.nn.Module:
        """Train and return the model."""
        if not torch.cuda.is_available():
            keep_freed_memory()
        validated = self._check_epoch_length()
        val_loop = self.runner.val_loop
        if val_loop is not None and getattr(val_loop.dataloader, 'batch_sampler', None):
            val_loop.dataloader = make_resumable(val_loop.dataloader)
        wrapper = self.runner.cfg.get('optim_wrapper') or {}
        check_custom_keys((wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {},
                          self.runner.model, self.runner.optim_wrapper.optimizer.defaults)
        self.runner.call_hook('before_train')
        self._log_batch()
        if self._epoch >= self._max_epochs:
            self.runner.logger.warning(
                f'train_cfg.max_epochs: found {self._max_epochs}, expected more than the '
                f'{self._epoch} epochs of the checkpoint; nothing is left to train')
        if not validated:
            self._validate()
        while self._epoch < self._max_epochs and not self.stop_training:
            epoch = self._epoch
            self.run_epoch()
            if self._epoch == epoch:
                break
            self._validate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def _log_batch(self):
        """Log the samples of a step and the learning rate; warn if it is for another number."""
        cfg, wrapper = self.runner.cfg, self.runner.optim_wrapper
        batch = (cfg.get('train_dataloader') or {}).get('batch_size')
        if not batch:
            return
        processes = get_world_size()
        accumulated = getattr(wrapper, '_accumulative_counts', 1)
        total = processes * batch * accumulated
        rate = max(group.get('initial_lr', group['lr'])
                   for group in wrapper.optimizer.param_groups)
        scaling = cfg.get('auto_scale_lr') or {}
        base = scaling.get('base_batch_size', total)
        text = (f'{processes} processes x {batch} samples x {accumulated} accumulated batches = '
                f'{total} samples per step; learning rate {rate:.4g}')
        if total == base or scaling.get('enable'):
            self.runner.logger.info(f'{text}, for {total} samples')
            return
        share, rest = divmod(base, processes * accumulated)
        keep = f', or train_dataloader.batch_size={share} for {base} samples' if not rest else ''
        self.runner.logger.warning(
            f'{text}, for {base} samples (auto_scale_lr.base_batch_size). Use --auto-scale-lr, '
            f'which multiplies the rate by {total / base:.4g}{keep}. If the rate is chosen for '
            f'{total} samples, set auto_scale_lr.base_batch_size={total}')

    def _validate(self):
        """Validate after an epoch, if it is due, with seeds of its own."""
        self._decide_current_val_interval()
        val_loop = self.runner.val_loop
        if (val_loop is not None and self._epoch >= self.val_begin
                and (self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs)):
            batches = getattr(val_loop.dataloader, 'batch_sampler', None)
            if isinstance(batches, SeededBatchSampler):
                batches.set_place(self.runner.seed, self._epoch, 0)
            self._seed()
            val_loop.run()

    def _seed(self):
        """Seed the random numbers of the model for this iteration."""
        (python, numpy, pytorch), = draw_seeds(self.runner.seed, get_rank(), self._iter)
        random.seed(python)
        np.random.seed(numpy)
        torch.manual_seed(pytorch)

    def _check_epoch_length(self) -> bool:
        """Restart the epoch of a resumed checkpoint if the number of batches has changed.

        Returns:
            bool: Whether the checkpoint is younger than the validation of its last epoch. One
            from the end of an epoch is older.
        """
        info = self.runner.message_hub.get_info
        epochs = info('max_epochs', self._max_epochs)
        found, saved = self.iters_before(epochs), info('max_iters', self._max_iters)
        validated = not self._epoch or self._iter * epochs > self._epoch * saved
        if self._iter and found != saved:
            resumed, self._iter = self._iter, self.iters_before(self._epoch)
            self.runner.optim_wrapper.initialize_count_status(
                self.runner.model, self._iter, self._max_iters)
            self.runner.logger.warning(
                f'train_dataloader: found {found / epochs:g} batches in an epoch, '
                f'{saved / epochs:g} in the checkpoint; epoch {self._epoch + 1} starts with its '
                f'first batch, as iteration {self._iter} instead of {resumed}')
        return validated

    def run_epoch(self) -> None:
        """Train for the rest of the epoch."""
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
        """Run one iteration with its own seeds."""
        self._seed()
        super().run_iter(idx, data_batch)
