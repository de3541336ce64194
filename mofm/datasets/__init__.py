"""Data sets of keypoints and their transforms."""

from .camera_pairs import CameraPairDataset
from .collate import motion_collate
from .few_shot import FewShotDataset, draw_labels
from .frame_labels import read_frame_labels
from .motion_corpus import MotionCorpus
from .motion_dataset import MotionDataset
from .one_shot import NTU120_EXEMPLARS, NTU120_NOVEL, ntu120_one_shot
from .samplers import ClassBalancedSampler, MixtureSampler
from .synthetic import SyntheticMotion
from .track_windows import TrackWindowDataset
from .transforms import *  # noqa: F401,F403

__all__ = [
    'CameraPairDataset', 'ClassBalancedSampler', 'FewShotDataset', 'MixtureSampler',
    'MotionCorpus', 'MotionDataset', 'NTU120_EXEMPLARS', 'NTU120_NOVEL', 'SyntheticMotion',
    'TrackWindowDataset', 'draw_labels', 'motion_collate', 'ntu120_one_shot',
    'read_frame_labels'
]
