"""Uniform sampling against mmaction2's, and against its own rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofm.datasets.transforms import TemporalCrop, UniformSampleFrames


def ramp(num_frames, persons=1):
    """A recording whose x coordinate is the frame number plus one."""
    keypoint = np.ones((persons, num_frames, 17, 2), dtype=np.float16)
    keypoint[..., 0] += np.arange(num_frames)[:, None]
    return dict(
        keypoint=keypoint,
        keypoint_score=np.ones((persons, num_frames, 17), dtype=np.float16),
        total_frames=num_frames)


def same_state(a, b):
    return a[0] == b[0] and (a[1] == b[1]).all() and a[2:] == b[2:]


LENGTHS = (1, 2, 5, 9, 10, 47, 48, 49, 70, 95, 96, 97, 300, 10000)


@pytest.mark.parametrize('num_frames', LENGTHS)
@pytest.mark.parametrize('num_clips', [1, 3, 10])
def test_uniform_sampling_in_test_mode_equals_mmaction2(mmaction_pose, num_frames, num_clips):
    state = np.random.get_state()
    theirs = mmaction_pose.UniformSampleFrames(48, num_clips, test_mode=True)
    theirs = theirs.transform(dict(total_frames=num_frames))
    np.random.set_state(state)
    ours = UniformSampleFrames(48, num_clips, test_mode=True)
    for _ in range(2):  # the same at every call
        results = ours(ramp(num_frames))
        assert results['frame_inds'].tolist() == theirs['frame_inds'].tolist()
        assert results['frame_inds'].dtype == np.int32
    assert same_state(np.random.get_state(), state)


@pytest.mark.parametrize('num_frames', LENGTHS)
def test_uniform_sampling_in_training_equals_mmaction2(mmaction_pose, num_frames):
    np.random.seed(3)
    theirs = mmaction_pose.UniformSampleFrames(48, 2).transform(dict(total_frames=num_frames))
    np.random.seed(3)
    ours = UniformSampleFrames(48, 2)(ramp(num_frames))
    assert ours['frame_inds'].tolist() == theirs['frame_inds'].tolist()


@given(num_frames=st.integers(1, 400), n=st.integers(1, 60), seed=st.integers(0, 99))
def test_uniform_sampling_repeats_steps_or_bins_by_length(num_frames, n, seed):
    np.random.seed(seed)
    inds = UniformSampleFrames(n)(ramp(num_frames))['frame_inds'].astype(int)
    assert len(inds) == n
    assert inds.min() >= 0
    assert inds.max() < num_frames
    if num_frames < n:
        assert (np.diff(inds) % num_frames == 1 % num_frames).all()
    elif num_frames < 2 * n:
        assert (np.diff(inds) >= 1).all()
    else:
        bins = np.arange(n + 1) * num_frames // n
        assert (bins[:-1] <= inds).all()
        assert (inds < bins[1:]).all()


def test_uniform_sampling_in_training_varies():
    np.random.seed(0)
    transform = UniformSampleFrames(48)
    draws = {tuple(transform(ramp(300))['frame_inds']) for _ in range(5)}
    assert len(draws) == 5


@pytest.mark.parametrize('num_frames', [1, 60, 10000])
def test_uniform_sampling_gathers_frames_of_all_persons(num_frames):
    results = UniformSampleFrames(8, 2)(ramp(min(num_frames, 2000), persons=5))
    assert results['keypoint'].shape == (5, 16, 17, 2)
    assert results['keypoint'].dtype == results['keypoint_score'].dtype == np.float32
    x = results['frame_inds'].astype(np.float16) + np.float16(1)
    assert (results['keypoint'][..., 0] == x[:, None]).all()
    assert (results['clip_len'], results['num_clips']) == (8, 2)


def test_uniform_sampling_takes_ten_thousand_frames():
    results = UniformSampleFrames(48, test_mode=True)(ramp(10000))
    assert results['keypoint'].shape == (1, 48, 17, 2)
    assert results['total_frames'] == 10000


def test_uniform_sampling_zeros_missing_joints_of_a_copy():
    results = ramp(4)
    results['keypoint'][0, :, 3] = np.nan
    results['keypoint'][0, :, 4] = 0
    results['keypoint_score'][0, :, 5] = 5e-5
    results['keypoint_score'][0, :, 6] = np.nan
    keypoint, score = results['keypoint'].copy(), results['keypoint_score'].copy()
    given_keypoint, given_score = results['keypoint'], results['keypoint_score']
    out = UniformSampleFrames(4)(results)
    missing = np.isin(np.arange(17), (3, 4, 5, 6))
    assert not out['keypoint'][:, :, missing].any()
    assert not out['keypoint_score'][:, :, missing].any()
    assert (out['keypoint_score'][:, :, ~missing] == 1).all()
    np.testing.assert_array_equal(given_keypoint, keypoint)
    np.testing.assert_array_equal(given_score, score)


def test_uniform_sampling_takes_no_scores_and_no_persons():
    results = ramp(4)
    del results['keypoint_score']
    results['keypoint'][0, 0, 0] = 0
    out = UniformSampleFrames(4, test_mode=True)(results)
    assert out['keypoint_score'].sum() == 4 * 17 - 1
    out = UniformSampleFrames(4)(ramp(9, persons=0))
    assert out['keypoint'].shape == (0, 4, 17, 2)
    assert out['keypoint_score'].shape == (0, 4, 17)


def test_temporal_crop_keeps_consecutive_frames():
    np.random.seed(0)
    lengths = set()
    for _ in range(50):
        results = TemporalCrop((0.5, 1.0))(ramp(20))
        x = results['keypoint'][0, :, 0, 0]
        assert (np.diff(x) == 1).all()
        assert len(x) == results['total_frames'] == results['keypoint_score'].shape[1]
        lengths.add(len(x))
    assert min(lengths) >= 10
    assert max(lengths) <= 20
    assert len(lengths) > 5
    assert TemporalCrop((0.1, 0.1))(ramp(1))['total_frames'] == 1


@pytest.mark.parametrize(('kwargs', 'field'), [
    (dict(clip_len=0), 'clip_len'),
    (dict(clip_len=4.5), 'clip_len'),
    (dict(num_clips=0), 'num_clips'),
    (dict(seed=-1), 'seed'),
])
def test_uniform_sampling_names_bad_parameters(kwargs, field):
    with pytest.raises(ValueError, match=f'UniformSampleFrames: {field}: found'):
        UniformSampleFrames(**kwargs)


@pytest.mark.parametrize('ratio', [(0, 1), (0.8, 0.5), (0.5, 1.5), 0.5])
def test_temporal_crop_names_bad_ratio(ratio):
    with pytest.raises(ValueError, match='ratio'):
        TemporalCrop(ratio)


def test_uniform_sampling_names_bad_recordings():
    empty = ramp(0)
    with pytest.raises(ValueError, match='at least one frame'):
        UniformSampleFrames()(empty)
    wrong = dict(ramp(5), total_frames=6, frame_dir='a_clip')
    with pytest.raises(ValueError, match="clip 'a_clip': found '5 frames'"):
        UniformSampleFrames()(wrong)
    flat = dict(keypoint=np.zeros((5, 17, 2)))
    with pytest.raises(ValueError, match=r'\(persons, frames, joints, 2\)'):
        UniformSampleFrames()(flat)
    short = dict(ramp(5), keypoint_score=np.ones((1, 5, 16)))
    with pytest.raises(ValueError, match='keypoint_score'):
        UniformSampleFrames()(short)
