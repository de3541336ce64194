"""Conversion of frame scores to segments with start, end and confidence (T-MOR, PKU-MMD)."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mofm.registry import FUNCTIONS
from mofm.utils.checks import is_number, show

from .datasets import runs

_MAX_SIGMA = 100


@FUNCTIONS.register_module()
def argmax_segments(scores: np.ndarray, sigma: float = 5, min_length: int = 10,
                    max_gap: int = 5) -> np.ndarray:
    """Find runs of frames in which a class is the most likely one, one class at a time.

    Args:
        scores (np.ndarray): (T, K) probabilities; the rest to 1 is the background.
        sigma (float): Standard deviation of the Gaussian smoothing in frames, 0 for none.
            Defaults to 5.
        min_length (int): Minimum length; shorter runs are dropped. Defaults to 10.
        max_gap (int): Maximum gap between runs of a class to be merged. Defaults to 5.

    Returns:
        np.ndarray: (N, 4) label, first and last frame, and mean smoothed probability.
    """
    scores = _smooth(scores, sigma)
    label = np.concatenate([1 - scores.sum(1, keepdims=True), scores], 1).argmax(1) - 1
    return _segments(label[:, None] == np.arange(scores.shape[1]), scores, min_length, max_gap)


@FUNCTIONS.register_module()
def threshold_segments(scores: np.ndarray, threshold: float = 0.5, sigma: float = 5,
                       min_length: int = 10, max_gap: int = 5) -> np.ndarray:
    """Find runs of frames in which a class is likely, any number of classes at a time.

    Args:
        scores (np.ndarray): (T, K) probabilities.
        threshold (float): Minimum probability within a run. Defaults to 0.5.
        sigma (float): See :func:`argmax_segments`. Defaults to 5.
        min_length (int): Minimum length; shorter runs are dropped. Defaults to 10.
        max_gap (int): Maximum gap between runs of a class to be merged. Defaults to 5.

    Returns:
        np.ndarray: (N, 4) label, first and last frame, and mean smoothed probability.
    """
    scores = _smooth(scores, sigma)
    return _segments(scores >= threshold, scores, min_length, max_gap)


def _smooth(scores, sigma):
    if sigma != 0 and not is_number(sigma, .01, _MAX_SIGMA):
        raise ValueError(f'sigma: found {show(sigma)}, expected 0 or a number from 0.01 to '
                         f'{_MAX_SIGMA}')
    scores = np.asarray(scores, np.float64)
    return gaussian_filter1d(scores, sigma, axis=0, mode='nearest') if sigma else scores


def _segments(active, scores, min_length, max_gap):
    """Find runs in each column of ``active`` (T, K) bool, without short runs and gaps."""
    out = [np.zeros((0, 4))]
    for label in np.flatnonzero(active.any(0)):
        first, last = runs(active[:, label])
        first, last = np.stack([first, last])[:, last - first + 1 >= min_length]
        if not len(first):
            continue
        apart = first[1:] - last[:-1] - 1 > max_gap
        first, last = first[np.append(True, apart)], last[np.append(apart, True)]
        total = np.append(0, np.cumsum(scores[:, label]))
        confidence = (total[last + 1] - total[first]) / (last + 1 - first)
        out.append(np.stack([np.full(len(first), label), first, last, confidence], 1))
    return np.concatenate(out)
