"""Calibration of confidence scores."""

import numpy as np

_BINS = 10


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Compute the expected calibration error over ten equal bins (Guo et al., ICML 2017).

    Args:
        confidence: (N,) probability of the prediction in [0, 1].
        right: (N,) bool, whether the prediction is correct.
    """
    total, gap = bin_by_confidence(confidence, np.asarray(right, float) - confidence)
    return float(np.abs(gap * total)[total > 0].sum() / len(right))


def bin_by_confidence(confidence: np.ndarray, value: np.ndarray) -> tuple:
    """Compute number and mean of values (N,) in ten bins of the confidence, NaN in empty bins."""
    index = np.minimum((np.asarray(confidence) * _BINS).astype(int), _BINS - 1)
    total = np.bincount(index, minlength=_BINS)
    with np.errstate(invalid='ignore'):
        return total, np.bincount(index, value, _BINS) / total
