"""Encoders of thermal cubes."""

from .mofm_backbone import ConvCubeEmbed, LinearCubeEmbed, MoFMBackbone, MotionFeatures

__all__ = ['ConvCubeEmbed', 'LinearCubeEmbed', 'MoFMBackbone', 'MotionFeatures']
