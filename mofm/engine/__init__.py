"""Hooks, schedules and checkpoint safety. Importing it makes ``resume=True`` work."""

from .checkpoint import allow_mmengine_checkpoints, check_state, load_weights
from .hooks import AnnealHook, CheckpointGuardHook, FitKMeansHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .one_cycle import OneCycleLR

__all__ = [
    'AnnealHook', 'CheckpointGuardHook', 'FitKMeansHook', 'LayerDecayOptimWrapperConstructor',
    'OneCycleLR', 'allow_mmengine_checkpoints', 'check_state', 'load_weights'
]
