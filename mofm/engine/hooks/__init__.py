"""Hooks of the MMEngine runner."""

from .anneal_hook import AnnealHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .fit_kmeans_hook import FitKMeansHook

__all__ = ['AnnealHook', 'CheckpointGuardHook', 'FitKMeansHook']
