"""Hooks, schedules and checkpoint safety. Importing it makes ``resume=True`` work."""

from .checkpoint import allow_mmengine_checkpoints, check_state, load_weights
from .hooks import AnnealHook, CheckpointGuardHook, FitKMeansHook
from .layer_decay import LayerDecayOptimWrapperConstructor

__all__ = [
    'AnnealHook', 'CheckpointGuardHook', 'FitKMeansHook', 'LayerDecayOptimWrapperConstructor',
    'allow_mmengine_checkpoints', 'check_state', 'load_weights'
]
