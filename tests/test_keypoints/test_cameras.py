"""Virtual cameras against OpenCV and their ranges."""
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofm.keypoints import CameraRange, level

STILL = dict(pitch=(0, 0), roll=(0, 0))
seeds = st.integers(0, 2**32)


def camera(seed=0, target=(0, 0, 3), **ranges):
    return CameraRange(**ranges).sample(np.random.default_rng(seed), np.array(target))


@given(seeds)
def test_camera_projection_equals_opencv(seed):
    rng = np.random.default_rng(seed)
    cam = camera(seed, img_shape=(480, 856))
    points = rng.uniform(-1, 1, (4, 5, 3)) + [0, 0, 3]
    pixels, depth = cam.project(points)
    matrix = np.array([[cam.focal, 0, 428], [0, cam.focal, 240], [0, 0, 1]])
    expected, _ = cv2.projectPoints(points.reshape(-1, 3), cv2.Rodrigues(cam.rotation)[0],
                                    cam.translation, matrix, None)
    np.testing.assert_allclose(pixels, expected.reshape(4, 5, 2), rtol=0, atol=1e-6)
    np.testing.assert_allclose(depth, (points @ cam.rotation.T + cam.translation)[..., 2])


@given(seeds)
def test_camera_is_a_rigid_motion_within_the_ranges(seed):
    ranges, target = CameraRange(yaw=(-60, 60)), np.array([.4, -.2, 3.1])
    cam = ranges.sample(np.random.default_rng(seed), target)
    np.testing.assert_allclose(cam.rotation @ cam.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(cam.rotation) > 0  # no mirror
    x, height, z = -cam.rotation.T @ cam.translation - target
    assert 2.5 <= np.hypot(x, z) <= 5
    assert -.3 <= height <= 1.2
    assert abs(np.rad2deg(np.arctan2(-x, -z))) <= 60
    assert .55 <= cam.focal / 1920 <= .75


@given(seeds)
def test_camera_aims_at_target_and_keeps_up(seed):
    target = np.array([1., .5, 2])
    pixels, depth = camera(seed, target, **STILL).project(target + [[0, 0, 0], [0, .3, 0]])
    np.testing.assert_allclose(pixels[0], [960, 540], atol=1e-6)
    assert pixels[1, 1] < 540
    assert abs(pixels[1, 0] - 960) < 1e-6
    assert (depth > 0).all()


def test_camera_range_keeps_person_in_image():
    """In nearly all cameras as a whole; a near one that aims off may miss head or feet."""
    body = np.array([[x, y, z] for x in (-.25, .25) for y in (-.85, .85) for z in (-.15, .15)])
    pixels = np.array([camera(seed, (0, 0, 0), height=(0, .5)).project(body)[0]
                       for seed in range(2000)])
    inside = ((pixels > 0) & (pixels < [1920, 1080])).all(-1).mean(1)
    assert (inside == 1).mean() > .97
    assert inside.min() >= .5


@pytest.mark.parametrize(('yaw', 'right'), [(0, [-1, 0, 0]), (90, [0, 0, 1]), (180, [1, 0, 0]),
                                        (-90, [0, 0, -1])])
def test_camera_yaw_turns_around_the_vertical(yaw, right):
    cam = camera(yaw=(yaw, yaw), height=(0, 0), **STILL)
    forward = np.cross([0, 1, 0], right)
    np.testing.assert_allclose(cam.rotation, [right, [0, -1, 0], forward], atol=1e-12)


def test_camera_pitch_aims_higher_and_roll_keeps_center():
    target = np.array([0, 0, 3.])
    for height in (0, 1):
        pixels, _ = camera(pitch=(5, 5), roll=(0, 0), height=(height, height)).project(target)
        assert pixels[1] > 640
    pixels, _ = camera(pitch=(0, 0), roll=(30, 30)).project(target)
    np.testing.assert_allclose(pixels, [960, 540])


def test_camera_gives_negative_depth_behind_it():
    cam = camera(yaw=(0, 0), height=(0, 0), **STILL)
    _, depth = cam.project(np.array([[0, 0, -9.], [0, 0, 9]]))
    assert depth[0] < 0 < depth[1]


def test_level_raises_a_head_that_a_sensor_above_sees_too_near():
    tilt = np.deg2rad(20)
    up = np.array([0, np.cos(tilt), -np.sin(tilt)])  # the vertical along the sensor's axes
    np.testing.assert_allclose(level(up, 20), [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(('field', 'value'), [
    ('yaw', (60, -60)), ('height', (0, np.nan)), ('pitch', (1,)), ('distance', (0, 2)),
    ('focal', (-1, 1)), ('roll', (0, np.inf)), ('img_shape', (0, 1920))])
def test_camera_range_names_bad_field(field, value):
    with pytest.raises(ValueError, match=f'{field}: found'):
        CameraRange(**{field: value})


SIZES = ((1080, 1920), (720, 1280), (480, 640))


def test_camera_range_draws_one_of_several_sizes():
    """As often as the others, and last, so that the camera stands where it did."""
    target, drawn = np.array([.2, .1, 3]), []
    for seed in range(300):
        one = CameraRange().sample(np.random.default_rng(seed), target)
        cam = CameraRange(img_shape=SIZES).sample(np.random.default_rng(seed), target)
        np.testing.assert_array_equal(cam.rotation, one.rotation)
        np.testing.assert_array_equal(cam.translation, one.translation)
        assert cam.focal / cam.img_shape[1] == pytest.approx(one.focal / 1920)
        drawn.append(cam.img_shape)
    assert all(70 < drawn.count(size) < 130 for size in SIZES)
    pixels, _ = cam.project(target + [0, 0, 0])
    assert abs(pixels - np.array(cam.img_shape[::-1]) / 2).max() < .1 * cam.img_shape[1]


def test_camera_range_of_one_size_draws_six_numbers():
    """Also as a list of one; a seventh draw would change what follows, e.g. the noise."""
    after = np.random.default_rng(3)
    after.random(6)
    expected = after.random()
    for img_shape in ((720, 1280), ((720, 1280), )):
        rng = np.random.default_rng(3)
        cam = CameraRange(img_shape=img_shape).sample(rng, np.zeros(3))
        assert rng.random() == expected
        assert cam.img_shape == (720, 1280)


@pytest.mark.parametrize('value', [(), ((1080, 1920), (0, 5)), ((1080, ), ), (1080, 1920, 3),
                                   ((1080, 1920), (-1, 5))])
def test_camera_range_names_bad_size(value):
    with pytest.raises(ValueError, match='img_shape: found'):
        CameraRange(img_shape=value)
