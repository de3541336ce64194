"""Frame scores of windows."""

import numpy as np

from mofm.evaluation.functional import frame_scores


def test_frame_scores_with_stride_leave_no_holes():
    """A window counts for the frames until half way to its neighbors."""
    frame, normality = np.array([2, 5, 8]), np.array([.5, .1, .9])
    score, smoothed = frame_scores(frame, normality, 11, (), stride=3)
    np.testing.assert_array_equal(score, [.9, .5, .5, .5, .1, .1, .1, .9, .9, .9, .9])
    np.testing.assert_array_equal(smoothed, score)
    np.testing.assert_array_equal(frame_scores(frame, normality, 11, ())[0],
                                  [.9, .9, .5, .9, .9, .1, .9, .9, .9, .9, .9])
