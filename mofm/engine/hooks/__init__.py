"""Hooks of the MMEngine runner."""

from .anneal_hook import AnnealHook
from .checkpoint_guard_hook import CheckpointGuardHook

__all__ = ['AnnealHook', 'CheckpointGuardHook']
