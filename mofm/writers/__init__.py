"""Writers of annotations and results in the formats of other programs."""

from .bvh import write_bvh

__all__ = ['write_bvh']
