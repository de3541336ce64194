"""Readers of the results of pose estimators."""

from .alphapose import AlphaPose
from .mmpose import MMPoseJSON
from .openpose import OpenPose

__all__ = ['AlphaPose', 'MMPoseJSON', 'OpenPose']
