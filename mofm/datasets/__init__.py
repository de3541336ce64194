"""Data sets of key points and their transforms."""

from .annotation import AnnotationError, dump_annotations, load_annotations, validate
from .collate import motion_collate
from .motion_dataset import MotionDataset
from .synthetic import SyntheticMotion
from .transforms import *  # noqa: F401,F403

__all__ = [
    'AnnotationError', 'MotionDataset', 'SyntheticMotion', 'dump_annotations', 'load_annotations',
    'motion_collate', 'validate'
]
