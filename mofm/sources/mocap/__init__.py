"""Readers of motion capture."""

from .arrays import JointsNPZ
from .bvh import BVH

__all__ = ['BVH', 'JointsNPZ']
