"""Operations on poses: virtual cameras, pose noise, tracking."""

from .cameras import Camera, CameraRange, level
from .pose_noise import add_pose_noise
from .tracking import PoseTracker, fill_gaps, oks, track_poses

__all__ = ['Camera', 'CameraRange', 'PoseTracker', 'add_pose_noise', 'fill_gaps', 'level', 'oks',
           'track_poses']
