"""Action recognition on motion representations (MotionBERT, Sec. 4.4)."""

from .heads import MotionBERTClsHead, MotionBERTOneShotHead
from .transforms import CocoToH36M, NormalizeByLongSide, PersonTracking, RandomMove, ResampleFrames

__all__ = [
    'CocoToH36M', 'MotionBERTClsHead', 'MotionBERTOneShotHead', 'NormalizeByLongSide',
    'PersonTracking', 'RandomMove', 'ResampleFrames'
]
