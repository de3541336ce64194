"""The curriculum of MotionBERT's pre-training: 3D first, later 2D as well (released code)."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch.utils.data import DataLoader

from mofm.engine import ResumableTrainLoop
from mofm.engine.runner.train_loop import make_resumable
from mofm.registry import LOOPS


class Stage(NamedTuple):
    """A loader and its epochs, counted from 0; the last one is excluded."""

    loader: DataLoader
    begin: int = 0
    end: float = math.inf

    def iters_before(self, epoch: int) -> int:
        """Its batches in the epochs before one."""
        return len(self.loader) * max(0, min(epoch, self.end) - self.begin)


class LoaderSequence:
    """The loaders of an epoch, one after the other; to hooks they look like one loader.

    Args:
        stages (Sequence[Stage]): In their order; made by :func:`make_resumable`.
    """

    def __init__(self, stages: Sequence[Stage]):
        self.stages = list(stages)
        self.dataset = stages[-1].loader.dataset
        self.epoch = 0

    @property
    def loaders(self) -> list[DataLoader]:
        """Those of the epoch."""
        return [stage.loader for stage in self.stages if stage.begin <= self.epoch < stage.end]

    @property
    def worker_init_fn(self):
        """What a worker runs first; set, it is that of all loaders."""
        return self.stages[-1].loader.worker_init_fn

    @worker_init_fn.setter
    def worker_init_fn(self, function):
        for stage in self.stages:
            stage.loader.worker_init_fn = function

    def set_place(self, seed: int, epoch: int, start: int):
        """What the next iteration yields: the batches of an epoch after ``start``."""
        self.seed = seed
        self.epoch = epoch
        self.start = start

    def __len__(self) -> int:
        """Batches of the epoch."""
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
    """Epochs that run further loaders, one after the other, before the one of the training.

    Stops and resumes as :class:`ResumableTrainLoop`, in the middle of any loader.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Batches of every epoch, of 3D data in the pre-training.
        max_epochs (int): Epochs of the training.
        extra_dataloaders (Sequence[dict]): Configs of the further loaders, of 2D data; each may
            have ``epochs=(begin, end)``, counted from 0, end excluded.
        extra_begin (int): First epoch of those without, which go on to the end. Defaults to 30.
        **kwargs: Those of :class:`ResumableTrainLoop`.
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
        """Iterations of the training before an epoch."""
        return sum(stage.iters_before(epoch) for stage in self.dataloader.stages)

    def set_place(self, start: int):
        """What the next iteration over the loaders yields: this epoch's after ``start``."""
        self.dataloader.set_place(self.runner.seed, self._epoch, start)
