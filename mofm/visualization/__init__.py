"""Figures of poses, heat, tokens, features and results; the caller saves them."""

from .animation import animate_clip, real_time, save_animation, save_figure
from .anomaly import draw_anomaly_curve
from .atlas import AtlasEntry, collect_atlas, draw_atlas
from .attention import attention_rollout, clip_attention, cube_attention, draw_attention
from .contact_sheet import animate_contact_sheet, draw_contact_sheet, stack_pictures
from .embedding import draw_embedding, embed_in_plane
from .heat import draw_heat, draw_joint_heat, draw_tokenized_clip, draw_tokens
from .labeled_frames import draw_labeled_frames
from .layouts import draw_layouts
from .mesh import draw_meshes
from .overlay import draw_poses, overlay_poses, score_colors, write_video
from .pose import draw_pose_clip, draw_skeleton
from .pose_3d import animate_clip_3d, draw_clip_3d
from .report import Report
from .results import (
    draw_budget,
    draw_confusion,
    draw_curves,
    draw_jigsaw,
    draw_scores,
    read_scalars,
)
from .sample import draw_sample
from .scores import draw_calibration, draw_histograms, draw_roc
from .timeline import draw_timeline
from .visualizer import MotionVisualizer, figure_to_image
from .wandb_backend import WandbVisBackend

__all__ = ['AtlasEntry', 'MotionVisualizer', 'Report', 'WandbVisBackend', 'animate_clip',
           'animate_clip_3d', 'animate_contact_sheet', 'attention_rollout', 'clip_attention',
           'collect_atlas', 'cube_attention', 'draw_anomaly_curve', 'draw_atlas', 'draw_attention',
           'draw_budget', 'draw_calibration', 'draw_clip_3d',
           'draw_confusion', 'draw_contact_sheet', 'draw_curves', 'draw_embedding', 'draw_heat',
           'draw_histograms', 'draw_jigsaw', 'draw_joint_heat', 'draw_labeled_frames',
           'draw_layouts', 'draw_meshes', 'draw_pose_clip', 'draw_poses', 'draw_roc',
           'draw_sample', 'draw_scores', 'draw_skeleton', 'draw_timeline', 'draw_tokenized_clip',
           'draw_tokens', 'embed_in_plane', 'figure_to_image', 'overlay_poses', 'read_scalars',
           'real_time', 'save_animation', 'save_figure', 'score_colors', 'stack_pictures',
           'write_video']
