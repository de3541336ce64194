"""Joint layouts and the maps between them, virtual cameras, the errors of a detector, tracking."""

from .cameras import Camera, CameraRange, level
from .detector import detect
from .layouts import LAYOUTS, Layout, convert, get_layout
from .tracking import PoseTracker, fill_gaps, oks, track_poses

__all__ = ['LAYOUTS', 'Camera', 'CameraRange', 'Layout', 'PoseTracker', 'convert', 'detect',
           'fill_gaps', 'get_layout', 'level', 'oks', 'track_poses']
