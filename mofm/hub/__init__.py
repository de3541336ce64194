"""Checkpoints and published folders, read safely. Importing it makes ``resume=True`` work."""

from .checkpoint import check_state, load_weights
from .partial_loading import LoadReport, load_partial
from .resumable import find_resumable

__all__ = ['LoadReport', 'check_state', 'find_resumable',
           'load_partial', 'load_weights']
