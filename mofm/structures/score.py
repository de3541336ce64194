"""Score threshold of missing joints."""

import numpy as np

#: Joints with a lower score are missing, as in mmaction2.
SCORE_THRESHOLD = 1e-4


def visible_joints(keypoint: np.ndarray, score: np.ndarray | None = None) -> np.ndarray:
    """Find joints that are not missing.

    Args:
        keypoint (np.ndarray): (..., C), 0 for missing joints.
        score (np.ndarray, optional): (...), below the threshold for missing joints.

    Returns:
        np.ndarray: (...) bool.
    """
    visible = keypoint.any(-1)
    return visible if score is None else visible & (score >= SCORE_THRESHOLD)
