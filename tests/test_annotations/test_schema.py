"""Checks of one annotation."""

import numpy as np
import pytest

from mofm.annotations import file_error, validate
from tests.test_annotations.samples import BAD, ZERO, clip


@pytest.mark.parametrize('ann', [
    clip(), clip(persons=5), clip(frames=1), clip(frames=10_000), clip(dtype=np.float32),
    clip(label=np.int64(4)), clip(img_shape=np.array([480, 640])),
    clip(keypoint=clip()['keypoint'] - 500)
], ids=['usual', 'five persons', 'one frame', '10000 frames', 'float32', 'numpy label',
        'numpy img_shape', 'outside the image'])
def test_validate_accepts_legal_annotations(ann):
    assert validate(ann, num_classes=5) is None


@pytest.mark.parametrize('name', sorted(BAD))
def test_validate_describes_bad_annotations(name):
    ann, field, found, expected = BAD[name]
    problem = validate(ann, num_classes=5, file='x.pkl', index=7)
    assert problem is not None
    assert (problem.file, problem.index, problem.field) == ('x.pkl', 7, field)
    assert found in problem.found
    assert expected in problem.expected
    assert str(problem).startswith(f'x.pkl: annotation 7: {field}: found')


def test_validate_accepts_one_visible_joint():
    keypoint = ZERO.copy()
    keypoint[0, 5, 2] = 10, 20
    assert validate(clip(keypoint=keypoint)) is None


@pytest.mark.parametrize('name', ['no persons', 'all coordinates 0', 'all scores 0'])
def test_validate_allow_empty_accepts_empty_clips(name):
    assert validate(BAD[name][0], allow_empty=True) is None


def test_file_error_cuts_a_long_value():
    text = str(file_error('a.pkl', 'label', 'x' * 1000, 'a number', 3))
    assert text == f"a.pkl: annotation 3: label: found {'x' * 300}..., expected a number"


@pytest.mark.parametrize('coordinates', ['unit', 'signed'])
@pytest.mark.parametrize('dtype', [np.float16, np.float64])
def test_normalized_coordinates_are_a_problem(coordinates, dtype):
    rng = np.random.default_rng(0)
    unit = rng.uniform(.05, .95, (2, 30, 17, 2))
    keypoint = (unit if coordinates == 'unit' else 2 * unit - 1).astype(dtype)
    keypoint[0, 3, 5] = 12  # a joint that a tracker lost
    ann = dict(frame_dir='a', label=0, img_shape=(480, 640), total_frames=30, keypoint=keypoint,
               keypoint_score=np.ones((2, 30, 17), dtype))
    problem = validate(ann)
    assert problem.field == 'keypoint'
    assert 'in an image of height 480 and width 640' in problem.found
    assert 'pixels' in problem.expected
    assert validate(dict(ann, img_shape=(1, 1), keypoint=keypoint.clip(0, 1))) is None
    pixels = (unit * [640, 480]).astype(dtype)
    assert validate(dict(ann, keypoint=pixels)) is None
    pixels[:, :5] = 0  # nobody in the first frames
    assert validate(dict(ann, keypoint=pixels)) is None
    keypoint[:, :5] = 0
    assert validate(dict(ann, keypoint=keypoint)).field == 'keypoint'


def test_normalized_3d_joints_are_valid():
    rng = np.random.default_rng(0)
    ann = dict(frame_dir='a', label=0, img_shape=(480, 640), total_frames=3,
               keypoint=rng.uniform(-1, 1, (1, 3, 17, 3)), keypoint_score=np.ones((1, 3, 17)))
    assert validate(ann, dims=3) is None
