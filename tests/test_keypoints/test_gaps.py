"""Straight lines through gaps of tracks and between frame rates."""

import numpy as np
import pytest

from mofm.annotations import validate
from mofm.keypoints import fill_gaps, resample

_POSE = np.random.default_rng(0).uniform(-80, 80, (17, 2))


def test_short_gap_is_filled_with_straight_lines():
    rng = np.random.default_rng(0)
    inds = np.array([3, 4, 8, 9, 14])
    keypoint, score = rng.uniform(1, 500, (5, 17, 2)), rng.uniform(.1, 1, (5, 17))
    (points, scores, filled), = fill_gaps(keypoint, score, inds, 4)
    assert filled.tolist() == list(range(3, 15))
    for v in range(17):
        for c in range(2):
            np.testing.assert_allclose(points[:, v, c], np.interp(filled, inds, keypoint[:, v, c]))
    np.testing.assert_array_equal(scores[inds - 3], score)
    np.testing.assert_array_equal(points[inds - 3], keypoint)
    np.testing.assert_array_equal(scores[2:5], np.minimum(score[1], score[2])[None].repeat(3, 0))


def test_joint_missing_at_one_end_stays_missing_in_the_gap():
    keypoint, score = np.stack([_POSE, _POSE + 10]) + 200, np.ones((2, 17))
    keypoint[1, 9] = score[1, 9] = 0
    (points, scores, _), = fill_gaps(keypoint, score, np.array([0, 2]), 1)
    assert not points[1, 9].any()
    assert scores[1, 9] == 0
    assert (scores[1] > 0).sum() == 16
    np.testing.assert_allclose(points[1, 10], _POSE[10] + 205)


@pytest.mark.parametrize(('max_gap', 'expected'), [
    (0, [[0, 1], [3], [7], [9]]), (1, [[0, 1, 2, 3], [7, 8, 9]]),
    (2, [[0, 1, 2, 3], [7, 8, 9]]), (3, [list(range(10))])])
def test_long_gap_splits_the_track(max_gap, expected):
    inds = np.array([0, 1, 3, 7, 9])
    keypoint, score = np.arange(1., 6)[:, None, None] * _POSE, np.full((5, 17), .5)
    pieces = fill_gaps(keypoint, score, inds, max_gap)
    assert [frames.tolist() for _, _, frames in pieces] == expected
    assert all(len(p) == len(s) == len(f) for p, s, f in pieces)


def test_gap_of_two_billion_frames_takes_no_memory():
    pieces = fill_gaps(np.ones((2, 17, 2)), np.ones((2, 17)), np.array([0, 2**31 - 1]), 5)
    assert [frames.tolist() for _, _, frames in pieces] == [[0], [2**31 - 1]]


@pytest.mark.parametrize('ratio', [.5, 2, 1.25, 1 / 3])
def test_resample_follows_straight_lines(ratio):
    inds = np.r_[3:20, 25:40, 60:80]  # a gap that is bridged and one that is not
    time = inds[None, :, None, None].astype(np.float32)
    ann = dict(frame_dir='a', label=0, img_shape=(90, 90), total_frames=len(inds), frame_inds=inds,
               keypoint=np.broadcast_to(time + (1, 5), (1, len(inds), 17, 2)),
               keypoint_score=np.full((1, len(inds), 17), .5))
    ann['keypoint_score'][0, 5:8, 2] = 0
    box = inds[None, :, None] + np.array([1., 2, 30, 40])
    box[0, 5:8] = 0  # nobody
    ann.update(fps=30., track_id=np.array([7]), box=box)
    out = resample(ann, ratio)
    assert out['fps'] == 30 * ratio
    assert out['track_id'] == [7]
    assert validate(out) is None
    frames = out['frame_inds']
    place = (frames / ratio).clip(3, 79)
    assert ((place <= 39) | (place >= 60)).all()
    expected = [k for k in range(round(3 * ratio), round(79 * ratio) + 1)
                if not 39 < k / ratio < 60]
    assert frames.tolist() == expected
    np.testing.assert_allclose(out['keypoint'][0, :, 0], place[:, None] + (1, 5), rtol=1e-5)
    missing = (place > 7) & (place < 11)  # frames 8, 9, 10 and on the way to them
    np.testing.assert_array_equal(out['keypoint_score'][0, :, 2], np.where(missing, 0, .5))
    assert not out['keypoint'][0, missing, 2].any()
    np.testing.assert_allclose(out['box'][0], np.where(
        missing[:, None], 0, place[:, None] + (1, 2, 30, 40)), rtol=1e-5)
