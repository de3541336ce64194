"""Backbones, one per file."""

from .base import BaseBackbone
from .keypoint_features import KeypointFeatures
from .mofm_backbone import ConvCubeEmbed, LinearCubeEmbed, MoFMBackbone

__all__ = ['BaseBackbone', 'ConvCubeEmbed', 'KeypointFeatures', 'LinearCubeEmbed', 'MoFMBackbone']
