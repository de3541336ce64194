"""Lifting of 2D keypoints to 3D: data, model, losses and metrics."""

from .curriculum import CurriculumTrainLoop
from .data_preprocessor import LiftingDataPreprocessor
from .datasets import Human36MDataset, MotionCaptureDataset
from .inferencer import LiftInferencer, LiftResult
from .lifter import MotionLifter
from .losses import LiftingLoss
from .metrics import PoseAccuracy3D
from .transforms import (
    CropScale,
    CropScale3D,
    LiftingFlip,
    NormalizeByBox,
    NormalizeByShortSide,
    NormalizeByWidth,
    PackLiftingInputs,
    RandomYaw,
    ScaleMotion,
    SyntheticKeypoints,
    ZeroMissing,
)

__all__ = [
    'CropScale', 'CropScale3D', 'CurriculumTrainLoop', 'Human36MDataset',
    'LiftInferencer', 'LiftResult', 'LiftingDataPreprocessor', 'LiftingFlip', 'LiftingLoss',
    'MotionCaptureDataset',
    'MotionLifter', 'NormalizeByBox', 'NormalizeByShortSide', 'NormalizeByWidth',
    'PackLiftingInputs', 'PoseAccuracy3D', 'RandomYaw', 'ScaleMotion',
    'SyntheticKeypoints', 'ZeroMissing'
]
