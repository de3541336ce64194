"""Readers of pose files and data sets, which yield annotations of one schema."""

from . import data_sets, mocap, pose_programs
from .base import FolderSource, Source
from .data_sets import *  # noqa: F403
from .mocap import *  # noqa: F403
from .per_frame_poses import FramePoses, FramePoseSource
from .pose_programs import *  # noqa: F403
from .source_3d import Source3D

__all__ = ['FolderSource', 'FramePoseSource', 'FramePoses', 'Source', 'Source3D',
           *data_sets.__all__, *mocap.__all__, *pose_programs.__all__]
