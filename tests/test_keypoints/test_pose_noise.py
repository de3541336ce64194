"""Pose noise: jitter, misses, swaps, and unknown joints."""
import numpy as np
import pytest

from mofm.keypoints import add_pose_noise
from mofm.structures import LAYOUTS

SHAPE = (1080, 1920)
LIMBS = [7, 8, 9, 10, 13, 14, 15, 16]


def body(frames=400, speed=0.):
    """A frontal COCO-17 skeleton that moves to the right by `speed` pixels a frame."""
    x = np.array([0, .3, -.3, .6, -.6, 1, -1, 1.4, -1.4, 1.5, -1.5, .7, -.7, .7, -.7, .8, -.8])
    y = np.array([0, -.2, -.2, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 4.5, 4.5, 6, 6])
    pixels = np.stack([400 + 60 * x, 200 + 60 * y], -1) + np.zeros((frames, 1, 1))
    return pixels + np.arange(frames)[:, None, None] * [speed, 0]


def run(pixels, depth=3., seed=0, **kwargs):
    return add_pose_noise(pixels, np.full(pixels.shape[:2], depth), np.random.default_rng(seed),
                          SHAPE, **kwargs)


def mean_error(pixels, *args, **kwargs):
    keypoint, score = run(pixels, *args, **kwargs)
    return np.linalg.norm(keypoint - pixels, axis=-1)[score > 0].mean()


def test_pose_noise_jitter_grows_with_speed_and_distance():
    still = mean_error(body())
    assert mean_error(body(50, 25)) > 1.3 * still
    assert mean_error(body(), far=.002) > 1.3 * still
    assert mean_error(body(), 6, far=.002) > 1.3 * mean_error(body(), far=.002)


def test_pose_noise_misses_hidden_wrist_more_often():
    pixels, depth = body(), np.full((400, 17), 3.)
    pixels[:, 9] = pixels[:, [5, 6, 11, 12]].mean(1)
    front = add_pose_noise(pixels, depth, np.random.default_rng(0), SHAPE)[1]
    depth[:, 9] += .3  # behind the trunk
    back = add_pose_noise(pixels, depth, np.random.default_rng(0), SHAPE)[1]
    assert (back[:, 9] == 0).mean() > (front[:, 9] == 0).mean() + .05
    np.testing.assert_array_equal(front[:, 10], back[:, 10])


def test_pose_noise_swaps_sides_at_given_rate():
    flip = LAYOUTS['coco17'].flip_index
    exact, score = run(body(4000))
    swapped, swapped_score = run(body(4000), swap=.1)
    changed = (exact != swapped).any(-1)
    assert set(np.flatnonzero(changed.any(0))) == set(LIMBS)
    frame, joint = np.nonzero(changed)
    np.testing.assert_array_equal(swapped[frame, joint], exact[frame, flip[joint]])
    np.testing.assert_array_equal(swapped_score[frame, joint], score[frame, flip[joint]])
    for wrist in (9, 15):
        assert .07 < changed[:, wrist].mean() < .13


def test_pose_noise_keeps_unknown_joints_missing():
    pixels = body(60)
    pixels[:, 1:5] = np.nan
    pixels[10:20] = np.nan
    keypoint, score = run(pixels, swap=.05, far=.001)
    assert np.isfinite(keypoint).all()
    assert np.isfinite(score).all()
    assert not score[:, 1:5].any()
    assert not score[10:20].any()
    assert not keypoint[score == 0].any()
    assert (score[:10, 5:] > 0).mean() > .9


@pytest.mark.parametrize('frames', [1, 2])
def test_pose_noise_takes_short_and_empty_clips(frames):
    _, score = run(body(frames))
    assert score.shape == (frames, 17)
    assert score.any()
    keypoint, score = run(np.full((frames, 17, 2), np.nan))
    assert not keypoint.any()
    assert not score.any()


def test_pose_noise_misses_joints_outside_the_image():
    _, score = run(body() + [2000, 0])
    assert not score.any()
