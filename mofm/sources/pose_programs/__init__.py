"""Readers of the results of pose estimators."""

from .alphapose import AlphaPose
from .mmpose import MMPoseJSON
from .openpose import OpenPose
from .table import Table

__all__ = ['AlphaPose', 'MMPoseJSON', 'OpenPose', 'Table']
