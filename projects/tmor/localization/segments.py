"""From scores of frames to actions with a start, an end and a confidence (T-MOR, PKU-MMD)."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mofm.registry import FUNCTIONS

from .datasets import runs


@FUNCTIONS.register_module()
def argmax_segments(scores: np.ndarray, sigma: float = 5, min_length: int = 10,
                    max_gap: int = 5) -> np.ndarray:
    """One action at a time: runs of frames in which a class is the most likely one.

    Args:
        scores (np.ndarray): (T, K) probabilities; what their sum leaves to 1 is the background.
        sigma (float): Of the Gaussian that smooths them, in frames; 0 for none. Defaults to 5.
        min_length (int): Shorter runs are dropped. Defaults to 10.
        max_gap (int): Remaining runs of a class with at most so many frames between are one.
            Defaults to 5.

    Returns:
        np.ndarray: (N, 4) label, first and last frame, and mean smoothed probability.
    """
    scores = _smooth(scores, sigma)
    label = np.concatenate([1 - scores.sum(1, keepdims=True), scores], 1).argmax(1) - 1
    return _segments(label[:, None] == np.arange(scores.shape[1]), scores, min_length, max_gap)


@FUNCTIONS.register_module()
def threshold_segments(scores: np.ndarray, threshold: float = 0.5, sigma: float = 5,
                       min_length: int = 10, max_gap: int = 5) -> np.ndarray:
    """Any number of actions at a time: runs of frames in which a class is likely.

    Args:
        scores (np.ndarray): (T, K) probabilities.
        threshold (float): Lowest probability within a run. Defaults to 0.5.
        sigma (float): As of :func:`argmax_segments`.
        min_length (int): As there.
        max_gap (int): As there.

    Returns:
        np.ndarray: (N, 4) label, first and last frame, and mean smoothed probability.
    """
    scores = _smooth(scores, sigma)
    return _segments(scores >= threshold, scores, min_length, max_gap)


def _smooth(scores, sigma):
    scores = np.asarray(scores, np.float64)
    return gaussian_filter1d(scores, sigma, axis=0, mode='nearest') if sigma else scores


def _segments(active, scores, min_length, max_gap):
    """Runs of each column of ``active`` (T, K) bool, without short ones and short gaps."""
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
