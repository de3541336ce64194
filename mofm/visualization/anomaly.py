"""Anomaly curves: normality over time with the ground truth and the least normal persons."""
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import MaxNLocator

from mofm.structures import LAYOUTS

from .pose import FAINT, LEFT, MIDDLE, RIGHT, bounds, draw_skeleton, show_window
from .timeline import label_time

# Size of a thumbnail in units of the curve's axes.
_WIDTH, _HEIGHT = .105, .55


def draw_anomaly_curve(score: np.ndarray, smoothed: np.ndarray, label: np.ndarray,
                       thumbnails: Mapping[int, np.ndarray] | None = None,
                       title: str = '', fps: float | None = None) -> Figure:
    """Draw the frame scores of a clip, with abnormal frames shaded and skeletons of chosen frames.

    Args:
        score: (T,) normality before smoothing, drawn faintly.
        smoothed: (T,) normality after smoothing.
        label: (T,) bool, true for abnormal frames.
        thumbnails: Frame -> (17, 2 or 3) keypoints in COCO-17 order, y downwards, in any unit;
            missing joints are 0.
        title: Title of the figure.
        fps: Frames per second, for seconds on the axis.

    Returns:
        Figure: Axes of the curve, then one per thumbnail in the order of the frames.

    Raises:
        ValueError: If the shapes do not match.
    """
    score, smoothed, label = np.asarray(score), np.asarray(smoothed), np.asarray(label, bool)
    thumbnails = dict(sorted((thumbnails or {}).items()))
    if not score.shape == smoothed.shape == label.shape or score.ndim != 1 or not len(score):
        raise ValueError(f'score {score.shape}, smoothed {smoothed.shape} and label {label.shape}:'
                         ' expected three equal shapes (T,), T >= 1')
    for frame, keypoint in thumbnails.items():
        if not 0 <= frame < len(score) or np.ndim(keypoint) != 2 or len(keypoint) != 17:
            raise ValueError(f'thumbnail of frame {frame}, keypoints {np.shape(keypoint)}: '
                             f'expected a frame in [0, {len(score)}) and (17, 2 or 3)')
    foot = .5 if fps is None else .65
    inches = (4.2 if thumbnails else 2.5) + foot
    figure = Figure(figsize=(12, inches), dpi=150)
    axis = figure.add_axes((.06, foot / inches, .93, 2.15 / inches))
    edges = np.flatnonzero(np.diff(label, prepend=False, append=False)).reshape(-1, 2)
    for i, (start, stop) in enumerate(edges):
        axis.axvspan(start - .5, stop - .5, color=RIGHT, alpha=.18, linewidth=0,
                     label='_' * min(i, 1) + 'abnormal (ground truth)')
    axis.plot(score, color=FAINT, linewidth=.8, label='score')
    axis.plot(smoothed, color=LEFT, linewidth=2, label='smoothed')
    axis.set(xlim=(-.5, len(score) - .5), ylabel='normality')
    label_time(axis, fps)
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.spines[['top', 'right']].set_visible(False)
    axis.tick_params(labelsize=9)
    lefts = _spread(list(thumbnails), len(score))
    for left, (frame, keypoint) in zip(lefts, thumbnails.items(), strict=True):
        panel = axis.inset_axes((left, 1.12, _WIDTH, _HEIGHT))
        _draw_person(panel, np.asarray(keypoint, np.float32))
        time = '' if fps is None else f', {frame / fps:.1f} s'
        panel.set_title(f'frame {frame}{time}', fontsize=9, color=MIDDLE)
        point = (frame, smoothed[frame])
        axis.plot(*point, 'o', color=LEFT, markersize=6.5, markeredgecolor='white')
        figure.add_artist(ConnectionPatch(
            (.5, 0), point, 'axes fraction', 'data', axesA=panel, axesB=axis, shrinkB=4,
            color=MIDDLE, linewidth=.8, alpha=.6))
    figure.text(.06, 1 - .12 / inches, title, fontsize=11, va='top', parse_math=False)
    figure.legend(loc='upper right', bbox_to_anchor=(.99, 1 - .06 / inches), ncols=3, fontsize=9,
                  frameon=False, handlelength=1.5, borderaxespad=.3)
    return figure


def _spread(frames, total):
    """Return left edges of thumbnails in [0, 1 - width], above their frames if possible."""
    left = (np.array(frames, float) + .5) / total - _WIDTH / 2
    step = _WIDTH + .01
    for order, sign in ((range(len(left)), 1), (range(len(left) - 1, -1, -1), -1)):
        bound = 0. if sign > 0 else 1 - _WIDTH
        for i in order:
            left[i] = max(left[i], bound) if sign > 0 else min(left[i], bound)
            bound = left[i] + sign * step
    return left


def _draw_person(axis, keypoint):
    present = keypoint[:, :2].any(1)
    draw_skeleton(axis, keypoint[:, :2], present.astype(np.float32), LAYOUTS['coco17'])
    low, high = bounds(keypoint[present, :2])
    center, half = (low + high) / 2, .56 * max(*(high - low), 1e-3)
    show_window(axis, center - half, center + half)
