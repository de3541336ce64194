"""Train loop, strategy and file backend of the runner."""

from .file_backend import AtomicLocalBackend
from .fsdp import ShardedStrategy
from .train_loop import ResumableTrainLoop

__all__ = ['AtomicLocalBackend', 'ResumableTrainLoop', 'ShardedStrategy']
