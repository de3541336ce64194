"""Crop, flip and augmentations: against mmaction2, formulas and laws."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mofm.datasets.transforms import (
    PoseAffine,
    PoseCompact,
    PoseFlip,
    PoseJitter,
    PoseMirror,
)
from mofm.structures import LAYOUTS

ALL = [
    PoseCompact(),
    PoseFlip(prob=1),
    PoseAffine(scale=(0.8, 1.2), shift=0.1, rotation=20),
    PoseJitter(0.02),
]


def joints_of(results):
    return results['keypoint'], results['keypoint_score']


def as_clip(keypoint):
    """An annotation of (M, T, V, 2), on a large image."""
    score = np.ones(keypoint.shape[:-1], dtype=np.float32)
    return dict(keypoint=keypoint, keypoint_score=score, img_shape=(2000, 2000))


coordinates = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(1, 5), st.just(17), st.just(2)),
    elements=st.floats(1, 1000, width=32))


@pytest.mark.parametrize('kwargs', [
    dict(hw_ratio=1.),
    dict(hw_ratio=1., allow_imgpad=False),
    dict(hw_ratio=None),
    dict(hw_ratio=(0.5, 2.), padding=0.6),
    dict(hw_ratio=1., padding=0.5, threshold=400),
])
@pytest.mark.parametrize(('persons', 'missing'), [(1, 0), (1, 0.3), (2, 0.3), (5, 0.9)])
def test_pose_compact_equals_mmaction2(mmaction_pose, clip, kwargs, persons, missing):
    for seed in range(5):
        sample = clip(persons, missing=missing, seed=seed)
        theirs = mmaction_pose.PoseCompact(**kwargs).transform(copy.deepcopy(sample))
        ours = PoseCompact(**kwargs)(sample)
        np.testing.assert_allclose(ours['keypoint'], theirs['keypoint'], atol=1e-4)
        assert tuple(ours['img_shape']) == tuple(theirs['img_shape'])


def test_pose_flip_equals_mmaction2(mmaction_pose, clip):
    from mmaction.datasets.transforms import Flip
    left, right = list(range(1, 17, 2)), list(range(2, 17, 2))
    sample = clip(2, missing=0.2)
    theirs = Flip(1., left_kp=left, right_kp=right).transform(
        dict(copy.deepcopy(sample), modality='Pose'))
    ours = PoseFlip(prob=1)(sample)
    np.testing.assert_allclose(ours['keypoint'], theirs['keypoint'], atol=1e-4)
    np.testing.assert_array_equal(ours['keypoint_score'], theirs['keypoint_score'])


@given(keypoint=coordinates)
def test_pose_compact_keeps_aspect_ratio_and_everybody(keypoint):
    out = PoseCompact()(as_clip(keypoint))
    shift = out['keypoint'] - keypoint
    # translation only: one scale for both axes, whole pixels, one box for the clip
    assert np.abs(shift - shift[0, 0, 0]).max() < 1e-3
    height, width = out['img_shape']
    if out['img_shape'] != (2000, 2000):
        assert abs(height - width) <= 2
        assert out['keypoint'].min() >= -1e-3
        assert (out['keypoint'] <= np.array((width, height)) + 1e-3).all()
        extent = np.ptp(keypoint.reshape(-1, 2), axis=0).max()
        assert abs(width - 1.25 * extent) <= 2  # both edges are truncated


def test_pose_compact_leaves_small_boxes_alone(clip):
    sample = clip()
    sample['keypoint'][..., 1] = 60 + sample['keypoint'][..., 1] / 100
    out = PoseCompact()(dict(sample))
    np.testing.assert_array_equal(out['keypoint'], sample['keypoint'])
    assert out['img_shape'] == (320, 480)


def test_pose_compact_ignores_joints_without_score(clip):
    sample = clip()
    sample['keypoint'][0, 5, 2] = (5000, 5000)
    sample['keypoint_score'][0, 5, 2] = 0
    out = PoseCompact()(sample)
    assert max(out['img_shape']) <= 250
    assert not out['keypoint'][0, 5, 2].any()


@given(keypoint=coordinates)
def test_pose_flip_twice_is_the_identity(keypoint):
    sample = as_clip(keypoint)
    sample['keypoint_score'][0, 0, 3] = 0
    once = PoseFlip(prob=1)(dict(sample))
    twice = PoseFlip(prob=1)(dict(once))
    expected = keypoint.copy()
    expected[0, 0, 3] = 0
    np.testing.assert_allclose(twice['keypoint'], expected, atol=2e-3)
    np.testing.assert_array_equal(twice['keypoint_score'], sample['keypoint_score'])


def test_pose_flip_mirrors_x_with_given_probability(clip):
    sample = clip()
    out = PoseFlip(prob=1)(dict(sample))
    names = LAYOUTS['coco17'].joints
    left, right = names.index('left_wrist'), names.index('right_wrist')
    mirrored, original = out['keypoint'][..., left, :], sample['keypoint'][..., right, :]
    np.testing.assert_allclose(mirrored[..., 0], 480 - original[..., 0], rtol=1e-6)
    np.testing.assert_array_equal(mirrored[..., 1], original[..., 1])
    assert PoseFlip(prob=0)(dict(sample))['flip'] is False
    np.random.seed(0)
    flipped = sum(PoseFlip(0.25)(dict(sample))['flip'] for _ in range(400))
    assert 70 < flipped < 130


def test_pose_mirror_appends_flipped_clips(clip):
    sample = dict(clip(), num_clips=2)
    out = PoseMirror()(dict(sample))
    flipped = PoseFlip(prob=1)(dict(sample))
    frames = sample['keypoint'].shape[1]
    assert out['num_clips'] == 4
    assert out['keypoint'].shape[1] == 2 * frames
    np.testing.assert_array_equal(out['keypoint'][:, frames:], flipped['keypoint'])
    np.testing.assert_array_equal(out['keypoint_score'][:, :frames], sample['keypoint_score'])
    np.testing.assert_array_equal(out['keypoint_score'][:, frames:], flipped['keypoint_score'])


def test_pose_compact_per_clip_equals_the_crops_of_single_clips(clip):
    """Boxes of different sizes become as large as the first one."""
    sample = clip(2, 12)
    sample['keypoint'][:, 6:] = sample['keypoint'][:, 6:] * .5 + 300
    single = [PoseCompact()(dict(sample, **{key: sample[key][:, part] for key in (
        'keypoint', 'keypoint_score')})) for part in (slice(0, 6), slice(6, 12))]
    out = PoseCompact(per_clip=True)(dict(sample, num_clips=2))
    sizes = [max(one['img_shape']) for one in single]
    assert sizes[0] > sizes[1]
    assert out['img_shape'] == single[0]['img_shape']
    np.testing.assert_allclose(out['keypoint'][:, :6], single[0]['keypoint'])
    np.testing.assert_allclose(out['keypoint'][:, 6:],
                               single[1]['keypoint'] * sizes[0] / sizes[1], rtol=1e-5)
    np.testing.assert_array_equal(out['keypoint_score'], sample['keypoint_score'])


def test_pose_affine_scales_and_shifts_about_the_center(clip):
    sample = clip(2)
    out = PoseAffine(scale=(2, 2), shift=0, rotation=0)(dict(sample))
    center = np.array((240, 160))
    np.testing.assert_allclose(out['keypoint'], 2 * (sample['keypoint'] - center) + center,
                               atol=1e-3)
    np.random.seed(1)
    out = PoseAffine(scale=(1, 1), shift=0.1)(dict(sample))
    moved = (out['keypoint'] - sample['keypoint']).reshape(-1, 2)
    assert np.abs(moved - moved[0]).max() < 1e-3
    assert 0 < abs(moved[0, 0]) <= 48.01
    assert abs(moved[0, 1]) <= 32.01


@given(seed=st.integers(0, 1000))
def test_pose_affine_stretch_and_shear_move_along_x_in_proportion(seed):
    keypoint = np.random.RandomState(seed).uniform(10, 90, (2, 3, 17, 2))
    np.random.seed(seed)
    out = PoseAffine(stretch=.3, shear=.5)(dict(as_clip(keypoint), img_shape=(100, 100)))
    moved = out['keypoint'] - keypoint
    np.testing.assert_allclose(moved[..., 1], 0, atol=1e-4)
    offset = (keypoint - 50).reshape(-1, 2)
    (stretch, shear), error, *_ = np.linalg.lstsq(offset, moved[..., 0].ravel(), rcond=None)
    assert error < 1e-4
    assert abs(stretch) <= .3
    assert abs(shear) <= .5


def test_pose_affine_without_stretch_and_shear_draws_as_before(clip):
    """Trainings of earlier versions repeat."""
    outs = []
    for kwargs in (dict(), dict(stretch=0., shear=0.)):
        np.random.seed(3)
        outs.append(PoseAffine(scale=(.5, 2), shift=.1, rotation=20, **kwargs)(clip())['keypoint'])
        outs.append(np.random.rand())
    np.testing.assert_array_equal(outs[0], outs[2])
    assert outs[1] == outs[3]


@given(seed=st.integers(0, 1000))
def test_pose_affine_scales_all_distances_alike(seed):
    keypoint = np.random.RandomState(0).uniform(10, 90, (2, 3, 17, 2))
    sample = dict(as_clip(keypoint), img_shape=(100, 100))
    np.random.seed(seed)
    out = PoseAffine(scale=(0.5, 2), shift=0.2, rotation=30)(sample)['keypoint']
    before = np.linalg.norm(np.diff(keypoint.reshape(-1, 2), axis=0), axis=1)
    after = np.linalg.norm(np.diff(out.reshape(-1, 2), axis=0), axis=1)
    ratio = after / before
    assert np.ptp(ratio) < 1e-3
    assert 0.499 < ratio[0] < 2.001
    # no reflection, and an angle within the range
    a, b = (x[0, 0, 1] - x[0, 0, 0] for x in (keypoint, out))
    angle = np.degrees(np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b))
    assert abs(angle) <= 30.01


def test_joint_jitter_has_given_spread(clip):
    np.random.seed(0)
    sample = clip(5, missing=0.2)
    out = PoseJitter(0.01)(dict(sample))
    shown = sample['keypoint_score'] > 0
    noise = (out['keypoint'] - sample['keypoint'])[shown]
    assert abs(noise.std() - 4.8) < 0.2
    assert abs(noise.mean()) < 0.2
    assert not out['keypoint'][~shown].any()


@pytest.mark.parametrize('transform', ALL, ids=lambda t: type(t).__name__)
class TestEveryTransform:
    """Laws of all transforms."""

    def test_pose_transforms_keep_missing_joints_missing(self, transform, clip):
        sample = clip(2, missing=0.4)
        sample['keypoint'][0, 0, 0] = np.nan
        missing = (sample['keypoint_score'] == 0) | np.isnan(sample['keypoint']).any(-1)
        if isinstance(transform, PoseFlip):
            missing = missing[:, :, np.array(LAYOUTS['coco17'].flip_index)]
        keypoint, score = joints_of(transform(sample))
        assert not keypoint[missing].any()
        assert not score[missing].any()
        assert np.isfinite(keypoint).all()
        assert keypoint.dtype == score.dtype == np.float32

    def test_pose_transforms_leave_input_untouched(self, transform, clip):
        sample = clip(2, missing=0.1)
        sample['keypoint'][0, 0, 0] = np.nan
        kept = copy.deepcopy(sample)
        transform(dict(sample))
        for key in ('keypoint', 'keypoint_score'):
            np.testing.assert_array_equal(sample[key], kept[key])

    @pytest.mark.parametrize('persons', [0, 1, 5])
    @pytest.mark.parametrize('missing', [0, 1])
    @pytest.mark.parametrize('frames', [1, 48])
    def test_pose_transforms_take_any_number_of_persons(
            self, transform, clip, persons, missing, frames):
        with np.errstate(all='raise'):
            keypoint, score = joints_of(transform(clip(persons, frames, missing)))
        assert keypoint.shape == (persons, frames, 17, 2)
        assert score.shape == (persons, frames, 17)
        if missing:
            assert not keypoint.any()
            assert not score.any()


@pytest.mark.parametrize(('transform', 'kwargs', 'field'), [
    (PoseCompact, dict(padding=-1), 'padding'),
    (PoseCompact, dict(threshold=-1), 'threshold'),
    (PoseCompact, dict(hw_ratio=(2, 1)), 'hw_ratio'),
    (PoseCompact, dict(hw_ratio=0), 'hw_ratio'),
    (PoseFlip, dict(prob=1.5), 'prob'),
    (PoseFlip, dict(layout='octopus'), 'layout'),
    (PoseAffine, dict(scale=(0, 1)), 'scale'),
    (PoseAffine, dict(scale=1.2), 'scale'),
    (PoseAffine, dict(stretch=1), 'stretch'),
    (PoseAffine, dict(shear=-1), 'shear'),
    (PoseAffine, dict(shift=-0.1), 'shift'),
    (PoseAffine, dict(rotation=200), 'rotation'),
    (PoseJitter, dict(std=-1), 'std'),
    (PoseJitter, dict(std='a lot'), 'std'),
])
def test_pose_transforms_name_bad_parameters(transform, kwargs, field):
    with pytest.raises(ValueError, match=f'{transform.__name__}: {field}: found .*, expected'):
        transform(**kwargs)


def test_pose_flip_refuses_another_layout(clip):
    sample = clip()
    sample['keypoint'] = sample['keypoint'][:, :, :13]
    sample['keypoint_score'] = sample['keypoint_score'][:, :, :13]
    with pytest.raises(ValueError, match="found 13, expected 17 as in layout 'coco17'"):
        PoseFlip(prob=1)(sample)
