"""Scores of frames from scores of windows, and the area under the ROC curve."""

import logging
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log


def roc_auc(normal: np.ndarray, normality: np.ndarray) -> float:
    """Area under the ROC curve with label 1 = normal; NaN and a warning for one kind of label.

    Args:
        normal (np.ndarray): (N,) bool.
        normality (np.ndarray): (N,) scores, higher = more normal.

    Raises:
        ValueError: If a score is NaN.
    """
    from sklearn.metrics import roc_auc_score  # heavy

    if np.isnan(normality).any():
        raise ValueError(f'normality: found {np.isnan(normality).sum()} of {len(normality)} values'
                         ' that are NaN, expected numbers; look at the loss of the training')
    if normal.all() or not normal.any():
        print_log(f'AUC is undefined: found {normal.sum()} normal and {(~normal).sum()} abnormal '
                  'labels, expected both', 'current', logging.WARNING)
        return float('nan')
    return float(roc_auc_score(normal, normality))


def lowest_per_frame(frame: np.ndarray, normality: np.ndarray, num_frames: int,
                     stride: int = 1) -> np.ndarray:
    """Lowest normality of the windows that count for each frame.

    Args:
        frame (np.ndarray): (W,) frame that each window counts for.
        normality (np.ndarray): (W,).
        num_frames (int): T.
        stride (int): Frames between two windows; a window counts for that many frames about its
            own, so that there are no holes.

    Returns:
        np.ndarray: (T,) float64, infinite in frames without a window.
    """
    score = np.full(num_frames, np.inf)
    near = frame[:, None] + np.arange(stride) - stride // 2  # (W, stride)
    inside = (near >= 0) & (near < num_frames)
    with np.errstate(invalid='ignore'):  # NaN stays NaN
        np.minimum.at(score, near[inside],
                      np.broadcast_to(normality[:, None], near.shape)[inside])
    return score


def smooth(score: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """Scores (T,) after Gaussians of these sigmas in frames, one after the other."""
    from scipy.ndimage import gaussian_filter1d

    for sigma in sigmas:
        score = gaussian_filter1d(score, sigma)
    return score


def frame_scores(frame: np.ndarray, normality: np.ndarray, num_frames: int,
                 smoothing: Sequence[float], stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores of frames of one clip from its windows, see :class:`mofm.evaluation.FrameAUC`.

    Args:
        frame (np.ndarray): (W,) frame that each window counts for.
        normality (np.ndarray): (W,).
        num_frames (int): T.
        smoothing (Sequence[float]): Sigmas of the Gaussians in frames.
        stride (int): Frames between two windows; a window counts for that many frames about its
            own, so that there are no holes.

    Returns:
        tuple: Minimum over the windows of each frame, and the same smoothed, (T,) each.
    """
    score = np.minimum(lowest_per_frame(frame, normality, num_frames, stride), normality.max())
    return score, smooth(score, smoothing)
