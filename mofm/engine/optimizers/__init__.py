"""Optimizer wrappers, their constructors and learning-rate schedules."""

from .bfloat16 import BFloat16OptimWrapper
from .layer_decay import LayerDecayOptimWrapperConstructor
from .one_cycle import OneCycleLR

__all__ = ['BFloat16OptimWrapper', 'LayerDecayOptimWrapperConstructor', 'OneCycleLR']
