"""Tokenizers of thermal cubes."""

from .dved import DVEDTokenizer, MotionTokenizer

__all__ = ['DVEDTokenizer', 'MotionTokenizer']
