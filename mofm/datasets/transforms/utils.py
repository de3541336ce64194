"""Reading of keypoints in transforms."""

import numpy as np

from mofm.structures import SCORE_THRESHOLD
from mofm.utils.checks import require


def read_joints(owner, results: dict) -> tuple:
    """Copy the keypoints of an annotation with all missing joints set to zero.

    A joint is missing if its score is below 1e-4 or not finite, if a coordinate is not finite, or
    if it is at exactly (0, 0). Without ``keypoint_score`` all other joints have score 1.

    Args:
        owner (object): The calling transform, for messages.
        results (dict): ``keypoint`` (M, T, V, 2) and optionally ``keypoint_score`` (M, T, V).

    Returns:
        tuple: Coordinates (M, T, V, 2) float32 and scores (M, T, V) float32, both new arrays with
        0 for missing joints, and ``present`` (M, T, V) bool.

    Raises:
        ValueError: If the shapes do not match.
    """
    clip = results.get('frame_dir', 'unnamed')
    keypoint = np.array(results['keypoint'], dtype=np.float32, order='C')
    require(keypoint.ndim == 4 and keypoint.shape[-1] == 2, owner, f'keypoint of clip {clip!r}',
            keypoint.shape, 'shape (persons, frames, joints, 2)')
    points = keypoint.view(np.complex64)[..., 0]  # a view of both coordinates
    present = (points != 0) & np.isfinite(points)
    score = results.get('keypoint_score')
    if score is None:
        score = present.astype(np.float32)
    else:
        score = np.array(score, dtype=np.float32)
        require(score.shape == keypoint.shape[:-1], owner, f'keypoint_score of clip {clip!r}',
                score.shape, f'shape {keypoint.shape[:-1]}, keypoint without its last axis')
        present &= (score >= SCORE_THRESHOLD) & (score < np.inf)
    missing = ~present
    points[missing] = 0
    score[missing] = 0
    return keypoint, score, present
