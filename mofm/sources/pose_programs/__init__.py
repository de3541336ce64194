"""Readers of the results of pose estimators."""

from .alphapose import AlphaPose
from .behavior import SLEAP, DeepLabCut, LightningPose
from .mmpose import MMPoseJSON
from .openpose import OpenPose
from .table import Table

__all__ = ['AlphaPose', 'DeepLabCut', 'LightningPose', 'MMPoseJSON', 'OpenPose', 'SLEAP', 'Table']
