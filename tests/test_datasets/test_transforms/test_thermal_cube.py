"""Keypoints on the canvas, masks of cubes, packing, and the whole pipeline."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import Compose, pseudo_collate

from mofm.datasets.transforms import (
    BlockMaskGenerator,
    KeypointMaskGenerator,
    PackMotionInputs,
    ThermalCubeFormat,
    UniformSampleFrames,
)
from mofm.registry import TRANSFORMS

PIPELINE = [
    dict(type='TemporalCrop', ratio=(0.7, 1.0)),
    dict(type='UniformSampleFrames', clip_len=48),
    dict(type='PoseCompact'),
    dict(type='PoseAffine', scale=(0.8, 1.2), shift=0.1, rotation=15),
    dict(type='PoseFlip', prob=0.5),
    dict(type='PoseJitter', std=0.005),
    dict(type='ThermalCubeFormat'),
    dict(type='KeypointMaskGenerator'),
    dict(type='PackMotionInputs'),
]


def cubes_of(keypoints, canvas=72, patch=4):
    """Cubes that hold a present joint, by the formula: a set of (row, column)."""
    points = keypoints[keypoints[..., 2] >= 1e-4]
    x, y = points[:, 0], points[:, 1]
    inside = (x >= 0) & (x < canvas) & (y >= 0) & (y < canvas)
    rows, cols = (np.floor(v[inside] / patch).astype(int) for v in (y, x))
    return set(zip(rows, cols, strict=True))


def masked(mask, cols=18):
    return {(k // cols, k % cols) for k in np.flatnonzero(mask)}


def draw(keypoints, **kwargs):
    return KeypointMaskGenerator(**kwargs)(dict(keypoints=keypoints))['mask']


class TestThermalCubeFormat:
    """Mapping onto the canvas."""

    def test_format_scales_square_image_to_canvas(self, clip):
        sample = dict(clip(2), img_shape=(300, 300))
        out = ThermalCubeFormat()(dict(sample))['keypoints']
        assert out.shape == (2, 17, 48, 3)
        assert out.dtype == np.float32
        expected = sample['keypoint'].transpose(0, 2, 1, 3) * 72 / 300
        np.testing.assert_allclose(out[..., :2], expected, atol=1e-4)
        np.testing.assert_array_equal(out[..., 2], sample['keypoint_score'].transpose(0, 2, 1))

    def test_format_keeps_aspect_ratio_of_wide_image(self, clip):
        sample = clip()
        out = ThermalCubeFormat()(dict(sample))['keypoints']
        x, y = sample['keypoint'].transpose(3, 0, 2, 1)
        np.testing.assert_allclose(out[..., 0], x * 72 / 480, atol=1e-4)
        np.testing.assert_allclose(out[..., 1], (y + 80) * 72 / 480, atol=1e-4)

    @given(height=st.integers(1, 4000), width=st.integers(1, 4000), seed=st.integers(0, 99))
    def test_format_keeps_image_points_on_canvas(self, height, width, seed):
        unit = np.random.RandomState(seed).uniform(0.01, 1, (2, 8, 17, 2))
        sample = dict(keypoint=unit * (width, height), img_shape=(height, width))
        out = ThermalCubeFormat(num_frames=8)(sample)['keypoints'][..., :2]
        assert out.min() >= 0
        assert out.max() <= 72 + 1e-4

    def test_format_zeros_missing_joints_and_keeps_points_outside(self, clip):
        sample = clip(missing=0.3)
        sample['keypoint'][0, 0, 0] = (-20, 500)
        sample['keypoint_score'][0, 0, 0] = 1
        kept = copy.deepcopy(sample)
        out = ThermalCubeFormat()(dict(sample))['keypoints']
        assert not out[out[..., 2] == 0].any()
        np.testing.assert_allclose(out[0, 0, 0], (-3, 87, 1), atol=1e-4)
        np.testing.assert_array_equal(sample['keypoint'], kept['keypoint'])

    def test_format_puts_clips_first(self, clip):
        sample = UniformSampleFrames(48, 3)(clip(2, frames=200))
        out = ThermalCubeFormat()(dict(sample))['keypoints']
        assert out.shape == (3, 2, 17, 48, 3)
        middle = dict(sample, num_clips=1)
        for key in ('keypoint', 'keypoint_score'):
            middle[key] = sample[key][:, 48:96]
        np.testing.assert_array_equal(out[1], ThermalCubeFormat()(middle)['keypoints'])

    def test_format_of_nobody_is_one_missing_person(self, clip):
        out = ThermalCubeFormat(render='loader')(clip(0))
        assert out['keypoints'].shape == (1, 17, 48, 3)
        assert not out['keypoints'].any()
        assert not out['heatmap'].any()

    @pytest.mark.parametrize('use_score', [False, True])
    @pytest.mark.parametrize('persons', [1, 2])
    def test_format_rendered_in_loader_equals_mmaction2(
            self, mmaction_pose, clip, use_score, persons):
        sample = clip(persons, frames=96, missing=0.2)
        sample.update(num_clips=2, img_shape=(300, 300))
        out = ThermalCubeFormat(render='loader', use_score=use_score)(dict(sample))
        assert out['heatmap'].shape == (2, 17, 48, 72, 72)
        assert out['heatmap'].dtype == np.float32
        theirs = dict(
            keypoint=sample['keypoint'] * np.float32(72 / 300),
            img_shape=(72, 72),
            keypoint_score=sample['keypoint_score'])
        if not use_score:
            theirs['keypoint_score'] = (sample['keypoint_score'] > 0).astype(np.float32)
        heat = mmaction_pose.GeneratePoseTarget(sigma=0.6).transform(theirs)['imgs']
        heat = heat.reshape(2, 48, 17, 72, 72).transpose(0, 2, 1, 3, 4)
        # a window edge may fall on the other side of a whole pixel: exp(-4.5) at most
        assert (np.abs(out['heatmap'] - heat) > 1e-4).mean() < 1e-6
        one = dict(sample, num_clips=1)
        for key in ('keypoint', 'keypoint_score'):
            one[key] = sample[key][:, :48]
        one = ThermalCubeFormat(render='loader', use_score=use_score)(one)
        np.testing.assert_array_equal(one['heatmap'], out['heatmap'][0])

    def test_format_renders_nothing_by_default(self, clip):
        assert 'heatmap' not in ThermalCubeFormat()(clip())

    @pytest.mark.parametrize(('kwargs', 'field'), [
        (dict(canvas=70), 'canvas'),
        (dict(num_frames=0), 'num_frames'),
        (dict(sigma=0), 'sigma'),
        (dict(render='cloud'), 'render'),
    ])
    def test_format_names_bad_parameters(self, kwargs, field):
        with pytest.raises(ValueError, match=field):
            ThermalCubeFormat(**kwargs)

    def test_format_names_bad_samples(self, clip):
        with pytest.raises(ValueError, match='found 30, expected 1 x 48'):
            ThermalCubeFormat()(clip(frames=30))
        with pytest.raises(ValueError, match='img_shape'):
            ThermalCubeFormat()(dict(clip(), img_shape=(0, 0)))


@pytest.fixture
def keypoints(clip):
    return ThermalCubeFormat()(clip(missing=0.1))['keypoints']


class TestKeypointMaskGenerator:
    """Algorithm 1, corrected."""

    @given(
        seed=st.integers(0, 10000),
        persons=st.integers(1, 5),
        present=st.floats(0, 0.5),
        spread=st.sampled_from((5, 36, 100)),
        bounds=st.tuples(st.integers(0, 40), st.integers(1, 80)).filter(lambda b: b[0] <= b[1]),
        unit=st.sampled_from(('points', 'blocks')))
    def test_mask_generator_masks_occupied_cubes_within_bounds(
            self, seed, persons, present, spread, bounds, unit):
        rng = np.random.RandomState(seed)
        points = rng.uniform(36 - spread, 36 + spread, (persons, 17, 8, 3)).astype(np.float32)
        points[..., 2] = rng.random_sample(points.shape[:-1]) < present
        points[points[..., 2] == 0] = 0
        np.random.seed(seed)
        mask = draw(points, min_masked=bounds[0], max_masked=bounds[1], unit=unit, num_frames=8)
        assert mask.shape == (324, )
        assert mask.dtype == bool
        occupied = cubes_of(points)
        assert masked(mask) <= occupied  # only cubes of present joints, of any person
        assert mask.sum() <= bounds[1]
        assert mask.any() == bool(occupied)  # never nothing
        if unit == 'blocks' and occupied:
            assert mask.sum() >= max(1, min(bounds[0], len(occupied)))

    def test_mask_generator_reaches_both_bounds(self):
        points = np.zeros((1, 2, 8, 3), np.float32)  # 16 joints, each in a cube of its own
        points[..., 0] = np.arange(8) * 8
        points[..., 1] = np.array((0, 40))[:, None]
        points[..., 2] = 1
        np.random.seed(0)
        for unit in ('points', 'blocks'):
            counts = np.array([
                draw(points, min_masked=3, max_masked=6, unit=unit, num_frames=8).sum()
                for _ in range(400)
            ])
            assert set(counts) == {3, 4, 5, 6}
            assert np.bincount(counts)[3:].min() > 60  # uniform: 100 expected
            counts = {
                draw(points, min_masked=20, max_masked=75, unit=unit, num_frames=8).sum()
                for _ in range(5)
            }
            assert counts == {16}

    def test_mask_generator_blocks_count_distinct_cubes(self):
        points = np.full((1, 17, 48, 3), 2, np.float32)  # 800 joints in one cube, 16 in others
        points[0, 0, :16, 0] = 10 + 4 * np.arange(16) // 2 * 2
        points[..., 2] = 1
        occupied = len(cubes_of(points))
        np.random.seed(0)
        for _ in range(20):
            mask = draw(points, min_masked=5, max_masked=5, unit='blocks')
            assert mask.sum() == 5
            assert mask[0]
        assert draw(points, min_masked=75, max_masked=75, unit='blocks').sum() == occupied
        few = [draw(points, min_masked=5, max_masked=5).sum() for _ in range(20)]
        assert np.mean(few) < 3

    def test_mask_generator_order_is_row_major(self):
        points = np.zeros((1, 17, 48, 3), np.float32)
        points[0, 4, 7] = (71.9, 4.0, 0.5)
        assert np.flatnonzero(draw(points)).tolist() == [18 + 17]

    def test_mask_generator_covers_every_person(self, clip):
        sample = clip(2)
        sample['keypoint'][0] = 60 + sample['keypoint'][0] / 100
        points = ThermalCubeFormat()(sample)['keypoints']
        mask = draw(points, min_masked=10000, max_masked=10000)
        assert masked(mask) == cubes_of(points) > cubes_of(points[:1])

    def test_mask_generator_of_no_joints_masks_nothing(self):
        assert not draw(np.zeros((3, 17, 48, 3), np.float32)).any()
        outside = np.full((1, 17, 48, 3), 80, np.float32)
        assert not draw(outside).any()

    def test_mask_generator_varies(self, keypoints):
        np.random.seed(0)
        assert len({draw(keypoints).tobytes() for _ in range(10)}) == 10

    def test_mask_generator_refuses_several_clips(self, clip):
        sample = UniformSampleFrames(48, 2)(clip(frames=100))
        with pytest.raises(ValueError, match='num_clips=1'):
            KeypointMaskGenerator()(ThermalCubeFormat()(dict(sample)))
        with pytest.raises(ValueError, match='ThermalCubeFormat'):
            KeypointMaskGenerator()(sample)

    @pytest.mark.parametrize(('kwargs', 'field'), [
        (dict(min_masked=-1), 'min_masked'),
        (dict(max_masked=5), 'max_masked'),
        (dict(min_masked=0, max_masked=0), 'max_masked'),
        (dict(min_masked=0.15), 'min_masked'),
        (dict(unit='cubes'), 'unit'),
        (dict(canvas=71), 'canvas'),
    ])
    def test_mask_generator_names_bad_parameters(self, kwargs, field):
        with pytest.raises(ValueError, match=f'{field}: found'):
            KeypointMaskGenerator(**kwargs)


def test_block_masks_are_compact_up_to_their_share():
    np.random.seed(0)
    masks = [BlockMaskGenerator()(dict())['mask'] for _ in range(200)]
    counts = np.array([mask.sum() for mask in masks])
    assert counts.max() <= round(0.4 * 324)
    assert counts.mean() > 0.35 * 324
    masks = np.array(masks).reshape(-1, 18, 18)
    assert masks.any(0).all()  # also where no person is
    beside = masks[:, :, 1:][masks[:, :, :-1]]
    assert beside.mean() > 0.7  # 0.4 if cubes were masked one by one
    for kwargs, field in ((dict(share=1), 'share'), (dict(min_block=200), 'min_block'),
                          (dict(aspect=0), 'aspect'), (dict(canvas=71), 'canvas')):
        with pytest.raises(ValueError, match=f'{field}: found'):
            BlockMaskGenerator(**kwargs)


def test_pack_inputs_gives_tensors_and_metainfo(clip):
    sample = ThermalCubeFormat(render='loader')(dict(clip(), sample_idx=7))
    sample = PackMotionInputs()(KeypointMaskGenerator()(sample))
    inputs, data = sample['inputs'], sample['data_samples']
    assert {k: tuple(v.shape) for k, v in inputs.items()} == dict(
        keypoints=(1, 17, 48, 3), mask=(324, ), heatmap=(17, 48, 72, 72))
    assert inputs['keypoints'].dtype == torch.float32
    assert inputs['mask'].dtype == torch.bool
    assert data.gt_label.tolist() == [3]
    assert data.metainfo == dict(
        frame_dir='a_clip', sample_idx=7, img_shape=(320, 480), total_frames=48)
    unlabeled = clip()
    del unlabeled['label']
    packed = PackMotionInputs(meta_keys=('frame_dir', ))(ThermalCubeFormat()(unlabeled))
    assert 'gt_label' not in packed['data_samples']
    assert set(packed['inputs']) == {'keypoints'}
    with pytest.raises(ValueError, match='ThermalCubeFormat'):
        PackMotionInputs()(clip())


class TestPipeline:
    """All transforms from a config, as a data set runs them."""

    @pytest.mark.parametrize('persons', [0, 1, 5])
    @pytest.mark.parametrize('frames', [1, 60, 10000])
    @pytest.mark.parametrize('missing', [0, 0.3, 1])
    def test_pipeline_takes_any_clip(self, clip, persons, frames, missing):
        np.random.seed(0)
        run = Compose([TRANSFORMS.build(cfg) for cfg in PIPELINE])
        sample = clip(persons, frames, missing)
        kept = copy.deepcopy(sample)
        out = run(dict(sample))['inputs']
        np.testing.assert_array_equal(sample['keypoint'], kept['keypoint'])
        assert out['keypoints'].shape == (max(persons, 1), 17, 48, 3)
        assert out['keypoints'].isfinite().all()
        shown = persons > 0 and missing < 1
        assert bool(out['mask'].any()) == shown
        assert masked(out['mask'].numpy()) <= cubes_of(out['keypoints'].numpy())

    def test_pipeline_depends_on_numpy_seed_and_collates(self, clip):
        run = Compose([TRANSFORMS.build(cfg) for cfg in PIPELINE])

        def once(seed):
            np.random.seed(seed)
            return run(clip(2, 120))

        a, b, c = once(0), once(0), once(1)
        assert torch.equal(a['inputs']['keypoints'], b['inputs']['keypoints'])
        assert torch.equal(a['inputs']['mask'], b['inputs']['mask'])
        assert not torch.equal(a['inputs']['keypoints'], c['inputs']['keypoints'])
        batch = pseudo_collate([a, c])
        assert len(batch['inputs']['keypoints']) == len(batch['data_samples']) == 2
