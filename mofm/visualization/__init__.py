"""Pictures of poses, heat, tokens and results: figures that the caller saves."""

from .anomaly import draw_anomaly_curve
from .contact_sheet import animate_contact_sheet, draw_contact_sheet
from .heat import draw_heat, draw_tokens
from .layouts import draw_layouts
from .pose import draw_pose_clip, draw_skeleton
from .results import draw_confusion, draw_curves, read_scalars

__all__ = ['animate_contact_sheet', 'draw_anomaly_curve', 'draw_confusion', 'draw_contact_sheet',
           'draw_curves', 'draw_heat', 'draw_layouts', 'draw_pose_clip', 'draw_skeleton',
           'draw_tokens', 'read_scalars']
