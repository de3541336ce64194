"""Hooks, schedules and checkpoint safety. Importing it makes ``resume=True`` work."""

from .atomic_files import AtomicLocalBackend
from .bfloat16 import BFloat16OptimWrapper
from .checkpoint import allow_mmengine_checkpoints, check_state, find_resumable, load_weights
from .fsdp import ShardedStrategy, is_transformer_block
from .hooks import (
    AnnealHook,
    CheckpointGuardHook,
    FitKMeansHook,
    MotionVisualizationHook,
    PreemptionHook,
    ReportHook,
)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .one_cycle import OneCycleLR
from .partial_loading import LoadReport, load_partial
from .train_loop import ResumableTrainLoop

__all__ = [
    'AnnealHook', 'AtomicLocalBackend', 'BFloat16OptimWrapper', 'CheckpointGuardHook',
    'FitKMeansHook', 'LayerDecayOptimWrapperConstructor', 'LoadReport',
    'MotionVisualizationHook', 'OneCycleLR', 'PreemptionHook', 'ReportHook',
    'ResumableTrainLoop', 'ShardedStrategy', 'allow_mmengine_checkpoints', 'check_state',
    'find_resumable', 'is_transformer_block', 'load_partial', 'load_weights'
]
