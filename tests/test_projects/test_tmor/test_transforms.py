"""Transforms of skeleton sequences against their definitions, point by point."""

import math

import numpy as np
import pytest

import projects.tmor.frames  # noqa: F401
import projects.tmor.transforms  # noqa: F401
from mofm.models import SkeletonDataPreprocessor
from mofm.registry import TRANSFORMS
from mofm.structures import LAYOUTS

JOINTS = 17


def clip(persons=2, frames=9, dims=2, seed=0):
    """Return an annotation of random walks in which some joints are missing."""
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(100, 400, (persons, 1, JOINTS, dims))
    keypoint = keypoint + rng.normal(0, 3, (persons, frames, JOINTS, dims)).cumsum(1)
    missing = rng.random((persons, frames, JOINTS)) < .2
    keypoint[missing] = 0
    return dict(
        keypoint=keypoint.astype(np.float32), img_shape=(480, 640), total_frames=frames,
        keypoint_score=np.where(missing, 0, .7).astype(np.float32), frame_dir='clip', label=3,
        sample_idx=5)


def apply(name, results, **kwargs):
    return TRANSFORMS.build(dict(type=name, **kwargs))(dict(results))


def normal(**kwargs):
    """Return a normalized clip, the input of the other transforms."""
    return apply('NormalizeSkeleton', clip(**kwargs))


# ----------------------------------------------------------------------------- coordinates
@pytest.mark.parametrize('shape', [(480, 640), (640, 480)])
def test_tmor_image_normalization_equals_formula(shape):
    ann = dict(clip(), img_shape=shape)
    ann['keypoint'][0, 0, 0] = np.nan
    ann['keypoint_score'][0, 0, 1] = 1e-5
    out = apply('NormalizeSkeleton', ann)
    side = max(shape)
    for m, t, v in np.ndindex(ann['keypoint_score'].shape):
        x, y = ann['keypoint'][m, t, v].astype(float)
        if ann['keypoint_score'][m, t, v] < 1e-4 or math.isnan(x):
            expected = 0, 0
        else:  # x / 640 * 2 - 1, y / 640 * 2 - 480 / 640
            expected = x / side * 2 - shape[1] / side, y / side * 2 - shape[0] / side
        np.testing.assert_allclose(out['keypoint'][m, t, v], expected, atol=1e-6)
    assert out['keypoint'].dtype == np.float32


@pytest.mark.parametrize('dims', [2, 3])
def test_tmor_box_normalization_fills_the_unit_cube(dims):
    out = apply('NormalizeSkeleton', clip(dims=dims), box=True)['keypoint']
    points = out[out.any(-1)]
    spans = np.ptp(points, axis=0)
    np.testing.assert_allclose(spans.max(), 2, rtol=1e-5)
    np.testing.assert_allclose(points.min(0) + points.max(0), 0, atol=1e-5)
    before = clip(dims=dims)['keypoint']
    ratio = np.ptp(before[before.any(-1)], axis=0) / spans
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)  # keeps proportions


def test_tmor_3d_joints_are_centered():
    ann = clip(dims=3)
    del ann['keypoint_score']
    out = apply('NormalizeSkeleton', ann)['keypoint']
    present = ann['keypoint'].any(-1)
    mean = ann['keypoint'][present].astype(float).mean(0)
    np.testing.assert_allclose(out[present], ann['keypoint'][present] - mean, atol=1e-3)
    assert not out[~present].any()


def test_tmor_transforms_take_empty_clips():
    ann = clip(persons=0)
    for name, kwargs in (('NormalizeSkeleton', {}), ('NormalizeSkeleton', dict(box=True)),
                         ('SelectPersons', {}), ('FillFrames', {}),
                         ('CropFrames', dict(num_frames=5)),
                         ('ResampleCrop', dict(num_frames=6)), ('PadFrames', dict(num_frames=9)),
                         ('SkeletonMove', {}), ('SkeletonRotate', {}), ('SkeletonFlip', {}),
                         ('DropJoints', {})):
        ann = apply(name, ann, **kwargs)
    assert ann['keypoint'].shape == (2, 9, JOINTS, 2)
    assert not ann['keypoint'].any()
    assert ann['keypoint_score'].shape == (2, 9, JOINTS)


# ---------------------------------------------------------------------------------- persons
@pytest.mark.parametrize('wanted', [1, 2, 4])
def test_tmor_transforms_keep_persons_who_move_most(wanted):
    ann = normal(persons=3)
    ann['keypoint'] *= np.array([1, 5, 3], np.float32)[:, None, None, None]
    spread = []
    for person in ann['keypoint']:
        points = person[person.any(-1)].astype(float)
        spread.append(points.std(0).sum())
    order = sorted(range(3), key=lambda m: -spread[m])[:wanted]
    out = apply('SelectPersons', ann, num_persons=wanted)
    for key in ('keypoint', 'keypoint_score'):
        assert len(out[key]) == wanted
        np.testing.assert_array_equal(out[key][:len(order)], ann[key][order])
        assert not out[key][len(order):].any()


# ------------------------------------------------------------------------------------ frames
def test_crop_and_pad_reach_every_place():
    ann = normal(frames=4)
    ann['keypoint'][..., 0] = np.arange(1, 5)[:, None]
    crops = {tuple(apply('CropFrames', ann, num_frames=2)['keypoint'][0, :, 0, 0])
             for _ in range(60)}
    assert crops == {(1, 2), (2, 3), (3, 4)}
    pads = {tuple(apply('PadFrames', ann, num_frames=6)['keypoint'][0, :, 0, 0])
            for _ in range(60)}
    assert pads == {(1, 2, 3, 4, 0, 0), (0, 1, 2, 3, 4, 0), (0, 0, 1, 2, 3, 4)}
    middle = dict(random=False)
    assert apply('CropFrames', ann, num_frames=2, **middle)['keypoint'][0, 0, 0, 0] == 2
    assert apply('PadFrames', ann, num_frames=7, **middle)['keypoint'][0, 1, 0, 0] == 1
    for name, n in (('CropFrames', 6), ('PadFrames', 2), ('CropFrames', 4), ('PadFrames', 4)):
        out = apply(name, ann, num_frames=n)  # nothing to do
        assert out['keypoint'].shape[1] == out['keypoint_score'].shape[1] == 4


def test_tmor_empty_frames_repeat_the_person():
    ann = clip(persons=4, frames=6)
    ann['keypoint'][:] = np.arange(1, 7, dtype=np.float32)[:, None, None]
    for person, empty in enumerate(([], [0, 1, 5], [3, 4, 5], range(6))):
        ann['keypoint'][person, list(empty)] = 0
    ann['keypoint'][2, 1] = 0  # in between
    out = apply('FillFrames', ann)
    assert out['keypoint'][:, :, 0, 0].tolist() == [
        [1, 2, 3, 4, 5, 6], [3, 4, 5, 3, 4, 5], [1, 0, 3, 1, 0, 3], [0] * 6]
    np.testing.assert_array_equal(out['keypoint_score'][1],
                                  ann['keypoint_score'][1, [2, 3, 4, 2, 3, 4]])


@pytest.mark.parametrize(('frames', 'n'), [(9, 5), (9, 20), (1, 4), (7, 7)])
def test_tmor_resampling_interpolates_between_present_joints(frames, n):
    ann = normal(frames=frames)
    out = apply('ResampleCrop', ann, num_frames=n, ratio=(1, 1))['keypoint']
    source = ann['keypoint'].astype(float)
    for m, i, v in np.ndindex(2, n, JOINTS):
        place = i * (frames - 1) / (n - 1)
        low, high = math.floor(place), min(math.floor(place) + 1, frames - 1)
        a, b = source[m, low, v], source[m, high, v]
        if a.any() and b.any():
            expected = a + (place - low) * (b - a)
        else:
            expected = source[m, math.floor(place + .5), v]
        np.testing.assert_allclose(out[m, i, v], expected, atol=1e-5)


def test_tmor_random_resampling_keeps_given_share():
    ann = normal(frames=101)
    ann['keypoint'][..., 0] = np.arange(1, 102)[:, None]
    shares, starts = [], []
    for _ in range(200):
        x = apply('ResampleCrop', ann, num_frames=50)['keypoint'][0, :, 0, 0]
        shares.append((x[-1] - x[0] + 1) / 101)
        starts.append(x[0])
        np.testing.assert_allclose(np.diff(x), (x[-1] - x[0]) / 49, rtol=1e-3)
    assert .49 < min(shares) < .55
    assert .95 < max(shares) <= 1
    assert max(starts) > 20


# ------------------------------------------------------------------------------ augmentation
def test_random_move_interpolates_from_start_to_end():
    """All angles, scales and shifts from their lists, linear in between."""
    ann = normal(frames=5)
    options = dict(angles=(-10, 7), scales=(.9, 1.2), shifts=(-.2, .1))
    seen = set()
    for _ in range(60):
        out = apply('SkeletonMove', ann, **options)['keypoint']
        assert (out.any(-1) == ann['keypoint'].any(-1)).all()
        parameters = []
        for t in range(5):  # fit p' = s R p + d, exactly
            p, q = (k[0, t][ann['keypoint'][0, t].any(-1)].astype(float)
                    for k in (ann['keypoint'], out))
            x, y, one, zero = *p.T, np.ones(len(p)), np.zeros(len(p))
            design = np.concatenate([np.stack([x, -y, one, zero], 1),
                                     np.stack([y, x, zero, one], 1)])
            (c, s, dx, dy), *_ = np.linalg.lstsq(design, q.T.ravel(), rcond=None)
            np.testing.assert_allclose(design @ (c, s, dx, dy), q.T.ravel(), atol=1e-4)
            parameters.append((math.degrees(math.atan2(s, c)), math.hypot(c, s), dx, dy))
        parameters = np.array(parameters)
        np.testing.assert_allclose(np.diff(parameters, 2, axis=0), 0, atol=2e-2)
        seen |= {(round(a), round(s, 1), round(dx, 1), round(dy, 1))
                 for a, s, dx, dy in parameters[[0, -1]]}
    for values, column in zip((*options.values(), options['shifts']), zip(*seen, strict=True),
                              strict=True):
        assert set(column) == set(values)


def test_tmor_2d_rotation_is_within_range():
    ann = normal()
    angles = []
    for _ in range(50):
        out = apply('SkeletonRotate', ann, angle=30)['keypoint']
        ratio = out.astype(float) @ (1, 1j)
        ratio = ratio[ann['keypoint'].any(-1)] / (ann['keypoint'].astype(float) @ (1, 1j))[
            ann['keypoint'].any(-1)]
        np.testing.assert_allclose(ratio, ratio[0], atol=1e-4)
        assert abs(abs(ratio[0]) - 1) < 1e-5
        angles.append(math.degrees(np.angle(ratio[0])))
    assert -30 <= min(angles) < -15
    assert 15 < max(angles) <= 30


def test_tmor_3d_rotation_is_rigid():
    ann = clip(dims=3)
    x = ann['keypoint'].reshape(-1, 3).astype(float)
    y = apply('SkeletonRotate', ann, angle=30)['keypoint'].reshape(-1, 3).astype(float)
    np.testing.assert_allclose(y @ y.T, x @ x.T, rtol=1e-4, atol=1)  # rigid
    turn, *_ = np.linalg.lstsq(x, y, rcond=None)
    assert np.linalg.det(turn) > 0


@pytest.mark.parametrize('layout', ['unik17', 'kinect25'])
def test_skeleton_flip_mirrors_and_swaps_sides(layout):
    joints = LAYOUTS[layout].joints
    rng = np.random.default_rng(0)
    ann = dict(keypoint=rng.normal(size=(1, 3, len(joints), 3)),
               keypoint_score=rng.random((1, 3, len(joints))))
    out = apply('SkeletonFlip', ann, prob=1, layout=layout)
    for v, name in enumerate(joints):
        other = (name.replace('left_', 'right_') if 'left_' in name else
                 name.replace('right_', 'left_'))
        u = joints.index(other)
        np.testing.assert_array_equal(out['keypoint'][:, :, v], ann['keypoint'][:, :, u]
                                      * [-1, 1, 1])
        np.testing.assert_array_equal(out['keypoint_score'][:, :, v],
                                      ann['keypoint_score'][:, :, u])
    assert apply('SkeletonFlip', ann, prob=0, layout=layout)['keypoint'] is ann['keypoint']


def test_skeleton_mirror_adds_a_clip_per_recording():
    ann = normal(persons=2, frames=5)
    out = apply('SkeletonMirror', ann)
    np.testing.assert_array_equal(out['keypoint'][0], ann['keypoint'])
    np.testing.assert_array_equal(out['keypoint'][1],
                                  apply('SkeletonFlip', ann, prob=1)['keypoint'])
    packed = apply('PackSkeleton', out)['inputs']['keypoints']
    assert packed.shape == (2, 2, JOINTS, 5, 2)  # clips, persons, joints, frames


def test_tmor_transforms_leave_input_untouched():
    """Two views start from the same arrays."""
    ann = normal()
    before = {key: ann[key].copy() for key in ('keypoint', 'keypoint_score')}
    for name, kwargs in (('SelectPersons', {}), ('FillFrames', {}),
                         ('CropFrames', dict(num_frames=5)),
                         ('PadFrames', dict(num_frames=20)), ('ResampleCrop', {}),
                         ('SkeletonMove', {}), ('SkeletonRotate', {}), ('NormalizeSkeleton', {}),
                         ('SkeletonFlip', dict(prob=1)), ('SkeletonMirror', {}),
                         ('DropJoints', {})):
        apply(name, ann, **kwargs)
        for key, value in before.items():
            np.testing.assert_array_equal(ann[key], value, err_msg=name)


def test_joint_dropping_lasts_the_whole_clip():
    ann = normal(persons=2, frames=9)
    ann['keypoint'][:] = 1
    ann['keypoint_score'][:] = .5
    shares = []
    for _ in range(300):
        out = apply('DropJoints', ann, max_share=.6)
        gone = ~out['keypoint'].any((1, 3))  # (M, V)
        assert np.array_equal(out['keypoint'].any((1, 3)), out['keypoint'].all((1, 3)))
        np.testing.assert_array_equal(out['keypoint_score'] == 0, gone[:, None].repeat(9, 1))
        shares.append(gone.mean())
    assert .25 < np.mean(shares) < .35
    assert np.min(shares) < .1
    assert np.max(shares) > .5


# ----------------------------------------------------------------------------------- packing
def test_two_views_are_batched_behind_each_other():
    ann = normal(frames=12)
    crop = [dict(type='CropFrames', num_frames=8, random=False)]
    views = apply('TwoViews', ann, query=crop, key=[dict(type='SkeletonFlip', prob=1), *crop],
                  keys=('keypoint', 'keypoint_score'))
    packed = TRANSFORMS.build(dict(type='PackSkeleton'))(views)
    sample = packed['data_samples']
    assert sample.sample_idx == 5
    assert sample.gt_label.item() == 3
    data = SkeletonDataPreprocessor()(dict(
        inputs=dict(keypoints=[packed['inputs']['keypoints']] * 3), data_samples=[sample] * 3))
    assert data['inputs'].shape == (6, 2, 8, JOINTS, 2)
    query, key = data['inputs'][0::2].numpy(), data['inputs'][1::2].numpy()
    np.testing.assert_array_equal(query[1], ann['keypoint'][:, 2:10])
    np.testing.assert_array_equal(key[2], ann['keypoint'][:, 2:10, LAYOUTS['unik17'].flip_index]
                                  * np.float32([-1, 1]))


def test_consecutive_clips_divide_a_window():
    ann = clip(frames=12)
    out = apply('ConsecutiveClips', ann, clip_len=4)
    assert out['num_clips'] == 3
    np.testing.assert_array_equal(out['keypoint'], ann['keypoint'])
    with pytest.raises(ValueError, match='found 12, expected a multiple of clip_len=5'):
        apply('ConsecutiveClips', ann, clip_len=5)


@pytest.mark.parametrize(('name', 'kwargs', 'words'), [
    ('SelectPersons', dict(num_persons=0), 'num_persons: found 0'),
    ('CropFrames', dict(num_frames=0), 'num_frames: found 0'),
    ('ResampleCrop', dict(ratio=(0, 1)), 'ratio: found'),
    ('SkeletonRotate', dict(angle=200), 'angle: found 200'),
    ('SkeletonFlip', dict(prob=2), 'prob: found 2'),
    ('SkeletonFlip', dict(layout='none'), 'layout: found')])
def test_tmor_transforms_name_bad_options(name, kwargs, words):
    with pytest.raises(ValueError, match=f'{name}: {words}'):
        TRANSFORMS.build(dict(type=name, **kwargs))


def test_tmor_transforms_name_bad_samples():
    with pytest.raises(ValueError, match=r"keypoint of clip 'clip': found \(2, 9, 17\)"):
        apply('NormalizeSkeleton', dict(clip(), keypoint=np.zeros((2, 9, 17))))
    with pytest.raises(ValueError, match=r'keypoint_score of clip .* expected shape \(2, 9, 17\)'):
        apply('NormalizeSkeleton', dict(clip(), keypoint_score=np.zeros((2, 9))))
    with pytest.raises(ValueError, match='two equal shapes'):
        apply('TwoViews', clip(), query=[], key=[dict(type='CropFrames', num_frames=3)],
              keys=('keypoint', ))
