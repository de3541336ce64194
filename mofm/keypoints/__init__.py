"""Operations on poses: virtual cameras, pose noise, tracking, resampling."""

from .cameras import Camera, CameraRange, level
from .gaps import fill_gaps, interpolate, resample
from .pose_noise import add_pose_noise
from .tracking import PoseTracker, join_tracks, oks, track_poses

__all__ = ['Camera', 'CameraRange', 'PoseTracker', 'add_pose_noise', 'fill_gaps',
           'interpolate', 'join_tracks', 'level', 'oks', 'resample', 'track_poses']
