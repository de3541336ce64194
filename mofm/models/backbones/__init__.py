"""Backbones, one per file."""

from .base import BaseBackbone
from .keypoint_features import KeypointFeatures, KeypointStatistics
from .mofm_backbone import ConvCubeEmbed, LinearCubeEmbed, MoFMBackbone

__all__ = [
    'BaseBackbone', 'ConvCubeEmbed', 'KeypointFeatures', 'KeypointStatistics', 'LinearCubeEmbed',
    'MoFMBackbone'
]
