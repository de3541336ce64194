"""MotionBERT (arXiv 2210.06551) plug-in: ``custom_imports=['projects.motionbert']``."""

from . import actions, dstformer, lifting, mesh, variants

__all__ = ['actions', 'dstformer', 'lifting', 'mesh', 'variants']
