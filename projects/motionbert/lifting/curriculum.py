"""Curriculum of MotionBERT's pre-training: 3D data, later also 2D data (released code)."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch.utils.data import DataLoader

from mofm.engine import ResumableTrainLoop
from mofm.engine.runner.train_loop import make_resumable
from mofm.registry import LOOPS


class Stage(NamedTuple):
    """Data loader and the range of its epochs, counted from 0, end excluded."""

    loader: DataLoader
    begin: int = 0
    end: float = math.inf

    def iters_before(self, epoch: int) -> int:
        """Count the batches in the epochs before a given one."""
        return len(self.loader) * max(0, min(epoch, self.end) - self.begin)


class LoaderSequence:
    """Concatenation of the loaders of an epoch, with the interface of a single loader.

    Args:
        stages (Sequence[Stage]): Stages in order; loaders from :func:`make_resumable`.
    """

    def __init__(self, stages: Sequence[Stage]):
        self.stages = list(stages)
        self.dataset = stages[-1].loader.dataset
        self.epoch = 0

    @property
    def loaders(self) -> list[DataLoader]:
        """Loaders of the current epoch."""
        return [stage.loader for stage in self.stages if stage.begin <= self.epoch < stage.end]

    @property
    def worker_init_fn(self):
        """Init function of the workers, shared by all loaders."""
        return self.stages[-1].loader.worker_init_fn

    @worker_init_fn.setter
    def worker_init_fn(self, function):
        for stage in self.stages:
            stage.loader.worker_init_fn = function

    def set_place(self, seed: int, epoch: int, start: int):
        """Let the next iteration yield the batches of an epoch after ``start``."""
        self.seed = seed
        self.epoch = epoch
        self.start = start

    def __len__(self) -> int:
        """Return the number of batches in the epoch."""
        return sum(map(len, self.loaders))

    def __iter__(self) -> Iterator[dict]:
        offset = 0
        for loader in self.loaders:
            start = max(0, self.start - offset)
            if start < len(loader):
                loader.batch_sampler.set_place(self.seed, self.epoch, start, offset)
                loader.batch_sampler.sampler.set_epoch(self.epoch)
                yield from loader
            offset += len(loader)


@LOOPS.register_module()
class CurriculumTrainLoop(ResumableTrainLoop):
    """Train loop whose epochs run additional loaders before the main one.

    Stops and resumes like :class:`ResumableTrainLoop`, in the middle of any loader.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Main loader, of every epoch; 3D data in the pre-training.
        max_epochs (int): Number of epochs.
        extra_dataloaders (Sequence[dict]): Configs of the additional loaders (2D data); each may
            have ``epochs=(begin, end)``, counted from 0, end excluded.
        extra_begin (int): First epoch of additional loaders without ``epochs``. Defaults to 30.
        **kwargs: Arguments of :class:`ResumableTrainLoop`.
    """

    def __init__(self, runner, dataloader, max_epochs: int, extra_dataloaders: Sequence[dict],
                 extra_begin: int = 30, **kwargs):
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        stages = []
        for cfg in map(dict, extra_dataloaders):
            epochs = cfg.pop('epochs', (extra_begin, ))
            loader = runner.build_dataloader(cfg, seed=runner.seed)
            stages.append(Stage(make_resumable(loader), *epochs))
        self.dataloader = LoaderSequence([*stages, Stage(self.dataloader)])
        self._max_iters = self.iters_before(max_epochs)

    def iters_before(self, epoch: int) -> int:
        """Count the iterations before an epoch."""
        return sum(stage.iters_before(epoch) for stage in self.dataloader.stages)

    def set_place(self, start: int):
        """Let the next iteration yield the batches of the current epoch after ``start``."""
        self.dataloader.set_place(self.runner.seed, self._epoch, start)
