"""T-MOR (arXiv 2606.21607) as a plug-in: ``custom_imports=['projects.tmor']``."""

from . import contrast, frames, transforms, unik

__all__ = ['contrast', 'frames', 'transforms', 'unik']
