"""Annotations of which every value is known."""

import numpy as np


def tracked(name='walk', frames=(0, 1, 2, 5), ids=(7, 9), joints=17, **fields):
    """Two persons: joint j of the first at (100.25 + j + t, 200 + 2j), the second 300 farther.

    The first person's wrist (9) is missing in row 1, the second person in row 2.
    """
    rows = len(frames)
    keypoint = np.zeros((len(ids), rows, joints, 2), np.float16)
    j, t = np.arange(joints), np.arange(rows)[:, None]
    for m in range(len(ids)):
        keypoint[m, ..., 0] = 100 + j + t + 300 * m + .25
        keypoint[m, ..., 1] = 200 + 2 * j
    score = np.full(keypoint.shape[:3], .75, np.float16)
    keypoint[0, 1:2, 9], score[0, 1:2, 9] = 0, 0
    keypoint[1:, 2:3], score[1:, 2:3] = 0, 0
    return dict(dict(frame_dir=name, label=1, img_shape=(480, 640), total_frames=rows,
                     keypoint=keypoint, keypoint_score=score,
                     frame_inds=np.array(frames)), **fields)


def in_3d(name='jump', persons=1, frames=4, joints=17):
    """Persons at joint positions (j / 10 + m, 1 + t / 8, 2), in meters."""
    keypoint = np.zeros((persons, frames, joints, 3), np.float32)
    keypoint[..., 0] = np.arange(joints) / 10 + np.arange(persons)[:, None, None]
    keypoint[..., 1] = 1 + np.arange(frames)[:, None] / 8
    keypoint[..., 2] = 2
    return dict(frame_dir=name, label=2, img_shape=(1, 1), total_frames=frames, keypoint=keypoint,
                keypoint_score=np.ones(keypoint.shape[:3], np.float32))
