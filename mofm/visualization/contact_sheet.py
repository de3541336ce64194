"""Many clips at a glance."""
from typing import Sequence

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from mofm.keypoints import get_layout

from .pose import MIDDLE, draw_skeleton


def _windows(clips):
    """Part of the image that the visible joints of each clip take up, (N, 2, 2)."""
    out = []
    for clip in clips:
        seen = clip['keypoint'][clip['keypoint_score'] > 0].astype(np.float32)  # (joints, 2)
        low, high = (seen.min(0), seen.max(0)) if len(seen) else (np.zeros(2), np.ones(2))
        half = max(*(high - low), 1) * .55
        out.append([(low + high) / 2 - half, (low + high) / 2 + half])
    return np.array(out)


def _draw(axis, clip, window, time, layout):
    """All persons of a clip at a time in [0, 1]."""
    frame = round(time * (clip['total_frames'] - 1))
    for keypoint, score in zip(clip['keypoint'], clip['keypoint_score']):
        draw_skeleton(axis, keypoint[frame].astype(np.float32), score[frame].astype(np.float32),
                      layout, width=1.4)
    (left, top), (right, bottom) = window
    axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect='equal')
    axis.spines[:].set_color('#D0D0D0')


def _title(clip, classes):
    label = classes[clip['label']] if clip['label'] < len(classes) else f"label {clip['label']}"
    name = clip['frame_dir'] if len(clip['frame_dir']) <= 30 else '...' + clip['frame_dir'][-27:]
    return f"{name}\n{label}, {len(clip['keypoint'])} x {clip['total_frames']} frames"


def draw_contact_sheet(clips: Sequence[dict], classes: Sequence[str] = (),
                       layout: str = 'coco17', num: int = 6) -> Figure:
    """One row per clip, a few moments of it from left to right.

    Args:
        clips (Sequence[dict]): At least one annotation, see :mod:`mofm.datasets.annotation`.
        classes (Sequence[str]): Names of the labels.
        layout (str): Joint layout.
        num (int): Moments.

    Returns:
        Figure: ``num`` axes per clip.
    """
    figure = Figure(figsize=(1.5 * num + 1.8, 1.55 * len(clips)), dpi=100, layout='constrained')
    axes = figure.subplots(len(clips), num, squeeze=False)
    for clip, row, window in zip(clips, axes, _windows(clips)):
        for axis, time in zip(row, np.linspace(0, 1, num)):
            _draw(axis, clip, window, time, get_layout(layout))
        row[0].set_ylabel(_title(clip, classes), fontsize=7, color=MIDDLE, rotation=0, ha='right',
                          va='center')
    return figure


def animate_contact_sheet(clips: Sequence[dict], classes: Sequence[str] = (),
                          layout: str = 'coco17', num: int = 32) -> FuncAnimation:
    """One moving panel per clip; the clips are brought to the same length.

    Args:
        clips (Sequence[dict]): At least one annotation.
        classes (Sequence[str]): Names of the labels.
        layout (str): Joint layout.
        num (int): Frames.

    Returns:
        FuncAnimation: To be saved as GIF.
    """
    columns = min(len(clips), 4)
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(2.2 * columns, 2.5 * rows), dpi=80, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(clips):]:
        axis.set_axis_off()
    windows = _windows(clips)

    def show(frame):
        for clip, axis, window in zip(clips, axes, windows):
            axis.clear()
            _draw(axis, clip, window, frame / max(num - 1, 1), get_layout(layout))
            axis.set_title(_title(clip, classes), fontsize=7, color=MIDDLE)

    return FuncAnimation(figure, show, num, interval=80)
