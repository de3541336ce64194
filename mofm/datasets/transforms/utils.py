"""What every transform needs: one rule for missing joints, one form of error."""

import numpy as np

from mofm.models.thermal_cubes import MIN_SCORE


def require(condition: bool, owner, field: str, found, expected: str):
    """Raise a ValueError that names the transform, the field, what was found and expected.

    Args:
        condition (bool): Nothing happens if it is true.
        owner (object): The transform.
        field (str): Name of the parameter or of the entry of the annotation.
        found (object): Its value, or the part of it that matters.
        expected (str): What it should have been, and what to do about it.

    Raises:
        ValueError: If the condition is false.
    """
    if not condition:
        raise ValueError(f'{type(owner).__name__}: {field}: found {found!r}, expected {expected}')


def is_int(value, low: int) -> bool:
    """Whether a parameter is an integer of at least ``low``."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= low


def is_number(value, low: float, high: float = np.inf) -> bool:
    """Whether a parameter is a finite number in [low, high]."""
    return isinstance(value, (int, float, np.number)) and np.isfinite(value) and (
        low <= value <= high)


def is_range(value, low: float, high: float = np.inf) -> bool:
    """Whether a parameter is a pair of numbers with low <= first <= second <= high."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and is_number(
        value[0], low, high) and is_number(value[1], value[0], high)


def read_joints(owner, results: dict) -> tuple:
    """Copy the key points of an annotation, with all missing joints at zero.

    A joint is missing if its score is below 1e-4 or not finite, if a coordinate is not finite, or
    if it lies at exactly (0, 0). Without ``keypoint_score`` every other joint has score 1.

    Args:
        owner (object): The transform that asks, for messages.
        results (dict): ``keypoint`` (M, T, V, 2) and optionally ``keypoint_score`` (M, T, V).

    Returns:
        tuple: Coordinates (M, T, V, 2) float32 and scores (M, T, V) float32, both new arrays with
        0 for missing joints, and ``present`` (M, T, V) bool.

    Raises:
        ValueError: If the shapes do not fit.
    """
    clip = results.get('frame_dir', 'unnamed')
    keypoint = np.array(results['keypoint'], dtype=np.float32, order='C')
    require(keypoint.ndim == 4 and keypoint.shape[-1] == 2, owner, f'keypoint of clip {clip!r}',
            keypoint.shape, 'shape (persons, frames, joints, 2)')
    points = keypoint.view(np.complex64)[..., 0]  # the same memory, both coordinates at once
    present = (points != 0) & np.isfinite(points)
    score = results.get('keypoint_score')
    if score is None:
        score = present.astype(np.float32)
    else:
        score = np.array(score, dtype=np.float32)
        require(score.shape == keypoint.shape[:-1], owner, f'keypoint_score of clip {clip!r}',
                score.shape, f'shape {keypoint.shape[:-1]}, keypoint without its last axis')
        present &= (score >= MIN_SCORE) & (score < np.inf)
    missing = ~present
    points[missing] = 0
    score[missing] = 0
    return keypoint, score, present
