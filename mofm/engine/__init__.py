"""Hooks, schedules and checkpoint safety. Importing it makes ``resume=True`` work."""

from .checkpoint import allow_mmengine_checkpoints, check_state, load_weights
from .hooks import (
    AnnealHook,
    CheckpointGuardHook,
    FitKMeansHook,
    MotionVisualizationHook,
    ReportHook,
)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .one_cycle import OneCycleLR
from .partial_loading import LoadReport, load_partial

__all__ = [
    'AnnealHook', 'CheckpointGuardHook', 'FitKMeansHook', 'LayerDecayOptimWrapperConstructor',
    'LoadReport', 'MotionVisualizationHook', 'OneCycleLR', 'ReportHook',
    'allow_mmengine_checkpoints', 'check_state', 'load_partial', 'load_weights'
]
