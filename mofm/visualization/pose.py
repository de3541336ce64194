"""Skeletons as strips of frames."""
from typing import Union

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from mofm.keypoints import Layout, get_layout

# Okabe and Ito's palette, told apart with any colour vision.
LEFT, RIGHT, MIDDLE = '#0072B2', '#D55E00', '#4D4D4D'


def _faded(colours: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    return to_rgba_array(colours, .15 + .85 * confidence)  # (N, 4)


def draw_skeleton(axis, keypoint: np.ndarray, score: np.ndarray, layout: Layout,
                  width: float = 2.2):
    """Draw one person into an axes; colours as in :func:`draw_pose_clip`.

    Args:
        axis (Axes): Where to.
        keypoint (np.ndarray): (V, 2) pixels, y downwards.
        score (np.ndarray): (V,) confidence; joints with 0 are left out.
        layout (Layout): Joint layout.
        width (float): Of the bones, in points.
    """
    colours = np.full(layout.num_joints, MIDDLE)
    colours[list(layout.left)], colours[list(layout.right)] = LEFT, RIGHT
    edges, alpha = np.array(layout.edges), np.clip(score, 0, 1)
    # A bone has the colour of a side if both its ends are on it.
    bone_colours = np.where(colours[edges[:, 0]] == colours[edges[:, 1]], colours[edges[:, 0]],
                            MIDDLE)
    bone_alpha = alpha[edges].min(1)
    shown = bone_alpha > 0
    axis.add_collection(LineCollection(
        keypoint[edges[shown]], colors=_faded(bone_colours[shown], bone_alpha[shown]),
        linewidths=width, capstyle='round'))
    axis.scatter(*keypoint[alpha > 0].T, s=4 * width, linewidths=0, zorder=2,
                 color=_faded(colours[alpha > 0], alpha[alpha > 0]))


def draw_pose_clip(keypoint: np.ndarray, score: np.ndarray, layout: Union[str, Layout] = 'coco17',
                   num: int = 8) -> Figure:
    """Frames of one person's clip, evenly spaced from the first to the last.

    The person's left side is blue, the right side orange; the fainter a bone, the lower the
    confidence of its less certain joint. Bones to a missing joint (score 0) are left out. All
    frames share one window, so that motion through the image stays visible.

    Args:
        keypoint: (T, V, 2) pixels, y downwards.
        score: (T, V) confidence in [0, 1].
        layout: Joint layout, or its name in `mofm.keypoints.LAYOUTS`.
        num: Number of frames to draw, at most T.

    Returns:
        Figure: One axes a frame.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    layout = get_layout(layout) if isinstance(layout, str) else layout
    keypoint, score = np.asarray(keypoint, np.float32), np.asarray(score, np.float32)
    if keypoint.shape != (*score.shape, 2) or score.shape[1:] != (layout.num_joints,):
        raise ValueError(
            f'keypoint {keypoint.shape} and score {score.shape}: expected (T, {layout.num_joints},'
            f' 2) and (T, {layout.num_joints}) for layout {layout.name}')
    seen = keypoint[score > 0]
    low, high = (seen.min(0), seen.max(0)) if len(seen) else (np.zeros(2), np.ones(2))
    margin = .06 * max(*(high - low), 1)
    low, high = low - margin, high + margin
    frames = np.unique(np.linspace(0, len(keypoint) - 1, num).round().astype(int))
    width = 12.0
    panel = width / num
    ratio = np.clip((high - low)[1] / (high - low)[0], .5, 3)
    figure = Figure(figsize=(panel * len(frames), (panel - .08) * ratio + .3), dpi=150,
                    layout='constrained')
    axes = figure.subplots(1, len(frames), squeeze=False)[0]
    for axis, frame in zip(axes, frames):
        draw_skeleton(axis, keypoint[frame], score[frame], layout)
        axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[],
                 aspect='equal')
        axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
        axis.spines[:].set_color('#D0D0D0')
    return figure
