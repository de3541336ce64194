"""Range of coordinates and scores, the same in training, inference and streaming."""

from collections.abc import Sequence

import numpy as np

#: Image sizes beyond which a pixel is a fault of the file or of the pose estimator.
MAX_SIZES = 10
#: Largest coordinate in any unit, that of float16, in which annotations are stored.
MAX_COORDINATE = 65504.
#: Largest confidence; those of most estimators are in [0, 1], of some a little higher.
MAX_SCORE = 100.


def within(array: np.ndarray, limit: float) -> bool:
    """Return whether all numbers are in [-limit, limit]; NaN is not."""
    if not array.size:
        return True
    if array.dtype == np.float16:  # compares the bits, as NumPy is slow at half precision
        bits = array.view(np.uint16) & 0x7fff
        return bool(bits.max() <= np.float16(limit).view(np.uint16))
    return bool(-limit <= array.min() and array.max() <= limit)


def find_fault(keypoint: np.ndarray, score: np.ndarray,
               img_shape: Sequence[int] | None = None) -> tuple[str, str, str] | None:
    """Find a coordinate or score that is NaN, infinite or out of any sensible range.

    Args:
        keypoint (np.ndarray): (M, T, V, C) or (N, V, C), 2 pixels or 3 coordinates in meters.
        score (np.ndarray): The same without the last axis.
        img_shape (Sequence[int], optional): Height and width of the image, None if unknown.

    Returns:
        tuple[str, str, str] or None: Field, found and expected value.
    """
    limit, of = MAX_COORDINATE, 'the largest float16'
    far = limit if img_shape is None else MAX_SIZES * int(max(img_shape))
    if keypoint.shape[-1] == 2 and far < limit:
        limit, of = float(far), f'{MAX_SIZES} image sizes'
    for name, array, most, what in (('keypoint', keypoint, limit, f', {of}'),
                                    ('keypoint_score', score, MAX_SCORE, '')):
        if within(array, most):
            continue
        bad = ~(np.abs(array.astype(np.float64)) <= most)
        where = tuple(np.argwhere(bad)[0])
        place = ', '.join(f'{axis} {i}' for axis, i in zip(
            ('person', 'frame', 'joint')[::1 if score.ndim == 3 else 2], where, strict=False))
        return (name, f'{array[where]} at {place} ({np.count_nonzero(bad)} values that are NaN, '
                'infinite or too large)', f'finite numbers within {most:g}{what}; coordinates and '
                'score 0 for missing joints')
    return None


def without_nan(keypoint: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mark joints with NaN in a coordinate or in the score as missing.

    Args:
        keypoint (np.ndarray): (..., C).
        score (np.ndarray): (...).

    Returns:
        tuple: Both of the same types, 0 for these joints.
    """
    known = ~(np.isnan(keypoint).any(-1) | np.isnan(score))
    if known.all():
        return keypoint, score
    return (np.where(known[..., None], keypoint, 0).astype(keypoint.dtype),
            np.where(known, score, 0).astype(score.dtype))
