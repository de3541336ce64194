"""MoFM: a foundation model of human motion on thermal cubes (arXiv 2502.05432)."""

from .version import __version__

__all__ = ['__version__']
