"""Frame scores from window scores, and the area under the ROC curve."""

import logging
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log


def roc_auc(normal: np.ndarray, normality: np.ndarray) -> float:
    """Compute the area under the ROC curve with label 1 = normal; NaN for a single label.

    Args:
        normal (np.ndarray): (N,) bool.
        normality (np.ndarray): (N,) scores, higher = more normal.

    Raises:
        ValueError: If a score is NaN.
    """
    from sklearn.metrics import roc_auc_score  # heavy

    if np.isnan(normality).any():
        raise ValueError(f'normality: found {np.isnan(normality).sum()} of {len(normality)} values'
                         ' NaN, expected numbers; check the training loss')
    if normal.all() or not normal.any():
        print_log(f'AUC is undefined: found {normal.sum()} normal and {(~normal).sum()} abnormal '
                  'labels, expected both', 'current', logging.WARNING)
        return float('nan')
    return float(roc_auc_score(normal, normality))


def lowest_per_frame(frame: np.ndarray, normality: np.ndarray, num_frames: int,
                     stride: int = 1) -> np.ndarray:
    """Compute the lowest normality of the windows of each frame.

    Args:
        frame (np.ndarray): (W,) frame that each window scores.
        normality (np.ndarray): (W,).
        num_frames (int): T.
        stride (int): Stride of the windows; each scores that many frames around its own, so that
            no frame is skipped.

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
    """Smooth scores (T,) by a sequence of Gaussians with these sigmas in frames."""
    from scipy.ndimage import gaussian_filter1d

    for sigma in sigmas:
        score = gaussian_filter1d(score, sigma)
    return score


def frame_scores(frame: np.ndarray, normality: np.ndarray, num_frames: int,
                 smoothing: Sequence[float], stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Compute frame scores of a clip from its windows, see :class:`mofm.evaluation.FrameAUC`.

    Args:
        frame (np.ndarray): (W,) frame that each window scores.
        normality (np.ndarray): (W,).
        num_frames (int): T.
        smoothing (Sequence[float]): Sigmas of the Gaussians in frames.
        stride (int): See :func:`lowest_per_frame`.

    Returns:
        tuple: Minimum over the windows of each frame before and after smoothing, (T,) each.
    """
    score = np.minimum(lowest_per_frame(frame, normality, num_frames, stride), normality.max())
    return score, smooth(score, smoothing)
