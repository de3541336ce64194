"""Whether people stand upright: heads above feet."""

import numpy as np

from mofm.structures import visible_joints

# Joints of COCO-17 that are up, of which all that are known are averaged, and down, of which the
# first pair that is.
_HEAD, _FEET = list(range(7)), ([15, 16], [13, 14], [11, 12])
# Poses, and share of those with the head below the feet, from which on axes may be wrong.
_FEWEST, _UPSIDE_DOWN = 8, .2
_AXES = 'x', 'y', 'z', '-x', '-y', '-z'


def mean_joint(joints: np.ndarray) -> np.ndarray:
    """Average the known ones of joints (T, N, 3), NaN where there is none."""
    known = np.isfinite(joints).all(-1, keepdims=True)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, joints, 0).sum(1) / count.clip(1), np.nan)


def spine_shares(joints: np.ndarray) -> dict[str, float]:
    """Measure along which axis people stand.

    Args:
        joints (np.ndarray): (T, 17, 3) of COCO-17 in any unit, NaN where missing.

    Returns:
        dict[str, float]: Share of the frames in which the head is above the feet along an axis,
        by half of their distance; empty if there is no frame with both.
    """
    head = mean_joint(joints[:, _HEAD])
    feet = next((feet for feet in (mean_joint(joints[:, pair]) for pair in _FEET)
                 if np.isfinite(feet - head).any()), head)
    spine = head - feet
    spine = spine[np.isfinite(spine).all(-1)]  # (T, 3)
    length = np.linalg.norm(spine, axis=-1, keepdims=True)
    if not (length > 0).any():
        return {}
    return dict(zip(_AXES, np.concatenate(
        [spine > length / 2, -spine > length / 2], 1).mean(0).tolist(), strict=True))


def other_vertical(joints: np.ndarray) -> str | None:
    """Find the axis along which people stand, if y is not up.

    Args:
        joints (np.ndarray): (T, 17, 3) of COCO-17 in any unit, NaN where missing.

    Returns:
        str or None: None if heads are above feet in half of the frames; else the axis for which
        that is true, with a sign, or '' if there is none.
    """
    shares = spine_shares(joints)
    best = max(shares, key=lambda axis: shares[axis], default='y')
    return None if not shares or shares['y'] >= .5 else best if shares[best] >= .5 else ''


def find_posture(keypoint: np.ndarray, score: np.ndarray) -> tuple[float, bool] | None:
    """Look whether people in an image are upside down.

    Args:
        keypoint (np.ndarray): (N, 17, 2) of COCO-17 in an image, where y points down.
        score (np.ndarray): (N, 17).

    Returns:
        tuple[float, bool] or None: Share of the poses whose head is above the feet, see
        :func:`spine_shares`, and whether far more have it below; None if there are few poses
        or none has both.
    """
    if len(keypoint) < _FEWEST:
        return None
    points = np.where(visible_joints(keypoint, score)[..., None], keypoint, np.nan)
    shares = spine_shares(np.insert(points * [1, -1], 2, 0, -1))
    if not shares:
        return None
    return shares['y'], shares['-y'] > max(_UPSIDE_DOWN, 3 * shares['y'])
