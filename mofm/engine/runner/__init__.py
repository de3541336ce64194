"""Train loop, strategy and file backend of the runner."""

from .file_backend import AtomicLocalBackend
from .fsdp import ShardedStrategy, is_transformer_block
from .train_loop import ResumableTrainLoop

__all__ = ['AtomicLocalBackend', 'ResumableTrainLoop', 'ShardedStrategy', 'is_transformer_block']
