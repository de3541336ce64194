"""Tokenizers of thermal cubes."""

from .base import MotionTokenizer
from .dved import DVEDTokenizer
from .kmeans import KMeansTokenizer

__all__ = ['DVEDTokenizer', 'KMeansTokenizer', 'MotionTokenizer']
