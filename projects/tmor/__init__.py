"""T-MOR (arXiv 2606.21607) as a plug-in: ``custom_imports=['projects.tmor']``."""

from . import contrast, frames, gcn, localization, transforms, unik
from .language import zero_shot

__all__ = ['contrast', 'localization', 'frames', 'gcn', 'transforms', 'unik', 'zero_shot']
