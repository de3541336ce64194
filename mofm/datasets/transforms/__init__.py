"""Transforms of keypoints: sampling, geometry, canvas, masking and packing."""

from .formatting import PackMotionInputs
from .geometry import (
    PadPersons,
    PoseAffine,
    PoseCompact,
    PoseFlip,
    PoseJitter,
    PoseMirror,
)
from .masking import BlockMaskGenerator, KeypointMaskGenerator
from .sampling import TemporalCrop, UniformSampleFrames
from .thermal_cube import ThermalCubeFormat
from .views import TwoViews

__all__ = [
    'BlockMaskGenerator', 'KeypointMaskGenerator', 'PackMotionInputs', 'PadPersons',
    'PoseAffine', 'PoseCompact', 'PoseFlip', 'PoseJitter', 'PoseMirror', 'TemporalCrop',
    'ThermalCubeFormat', 'TwoViews', 'UniformSampleFrames'
]
