"""Encoders of thermal cubes."""

from .keypoint_features import KeypointFeatures
from .mofm_backbone import ConvCubeEmbed, LinearCubeEmbed, MoFMBackbone

__all__ = ['ConvCubeEmbed', 'KeypointFeatures', 'LinearCubeEmbed', 'MoFMBackbone']
