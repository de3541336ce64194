"""The score threshold of missing joints."""

import numpy as np

#: Joints with a lower score are missing, as in mmaction2.
SCORE_THRESHOLD = 1e-4


def visible_joints(keypoint: np.ndarray, score: np.ndarray | None = None) -> np.ndarray:
    """Joints that are not missing.

    Args:
        keypoint (np.ndarray): (..., C), all 0 where a joint is missing.
        score (np.ndarray, optional): (...), below the threshold where a joint is missing.

    Returns:
        np.ndarray: (...) bool.
    """
    visible = keypoint.any(-1)
    return visible if score is None else visible & (score >= SCORE_THRESHOLD)
