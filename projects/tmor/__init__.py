"""T-MOR (arXiv 2606.21607) as a plug-in: ``custom_imports=['projects.tmor']``."""

from . import frames, transforms, unik

__all__ = ['frames', 'transforms', 'unik']
