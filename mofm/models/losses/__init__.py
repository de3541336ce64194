"""Objectives: one file a loss."""

from .dved_loss import DVEDLoss

__all__ = ['DVEDLoss']
