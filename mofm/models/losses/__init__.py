"""Losses, one per file."""

from .dved_loss import DVEDLoss
from .guided_dved_loss import GuidedDVEDLoss
from .supcon_loss import SupConLoss

__all__ = ['DVEDLoss', 'GuidedDVEDLoss', 'SupConLoss']
