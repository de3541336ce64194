"""Hooks, optimizers and parts of the runner."""

import mofm.hub.checkpoint  # noqa: F401  checkpoints load safely

from .hooks import *  # noqa: F401,F403
from .optimizers import BFloat16OptimWrapper, LayerDecayOptimWrapperConstructor, OneCycleLR
from .runner import AtomicLocalBackend, ResumableTrainLoop, ShardedStrategy

__all__ = ['AtomicLocalBackend', 'BFloat16OptimWrapper', 'LayerDecayOptimWrapperConstructor',
           'OneCycleLR', 'ResumableTrainLoop', 'ShardedStrategy']
