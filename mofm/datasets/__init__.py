"""Data sets of key points and their transforms."""

from .annotation import AnnotationError, dump_annotations, load_annotations, validate
from .collate import motion_collate
from .label_names import LABEL_NAMES
from .motion_dataset import MotionDataset
from .one_shot import NTU120_EXEMPLARS, NTU120_NOVEL, ntu120_one_shot
from .samplers import ClassBalancedSampler, MixtureSampler
from .synthetic import SyntheticMotion
from .track_windows import TrackWindowDataset
from .transforms import *  # noqa: F401,F403

__all__ = [
    'AnnotationError', 'ClassBalancedSampler', 'LABEL_NAMES', 'MixtureSampler', 'MotionDataset',
    'NTU120_EXEMPLARS', 'NTU120_NOVEL', 'SyntheticMotion', 'TrackWindowDataset',
    'dump_annotations', 'load_annotations', 'motion_collate', 'ntu120_one_shot', 'validate'
]
