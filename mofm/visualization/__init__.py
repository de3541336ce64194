"""Pictures of poses, heat, tokens and results: figures that the caller saves."""

from .anomaly import draw_anomaly_curve
from .heat import draw_heat, draw_tokens
from .pose import draw_pose_clip
from .results import draw_confusion, draw_curves, read_scalars

__all__ = ['draw_anomaly_curve', 'draw_confusion', 'draw_curves', 'draw_heat', 'draw_pose_clip',
           'draw_tokens', 'read_scalars']
