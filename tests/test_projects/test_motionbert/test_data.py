"""Lifting data: windows, file checks, normalization, augmentation, packing."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mofm.annotations import AnnotationError, dump_annotations
from mofm.datasets import motion_collate
from mofm.utils.config import load_config
from projects.motionbert.lifting.datasets import (
    Human36MDataset,
    MotionCaptureDataset,
    resample,
    split_clips,
)
from projects.motionbert.lifting.transforms import (
    CropScale,
    CropScale3D,
    FillJoints,
    LiftingFlip,
    LiftingMirror,
    NormalizeByBox,
    NormalizeByShortSide,
    NormalizeByWidth,
    PackLiftingInputs,
    RandomYaw,
    ScaleMotion,
    SyntheticKeypoints,
    ZeroMissing,
)

BASES = Path(__file__).resolve().parents[3] / 'projects/motionbert/configs/_base_/datasets'
LEFT, RIGHT = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]


def h36m(lengths=(5, 12, 7, 9), cameras=('54138969', '55011271', '54138969', '60457274')):
    """Create a split in Human3.6M's format whose first coordinate is the frame."""
    rng = np.random.default_rng(0)
    n = sum(lengths)
    split = dict(
        joint_2d=rng.uniform(0, 1000, (n, 17, 2)), confidence=rng.random((n, 17, 1)),
        joint3d_image=rng.uniform(0, 1000, (n, 17, 3)).astype(np.float32),
        camera_name=np.repeat(cameras, lengths).tolist(),
        source=np.repeat([f's_09_act_0{i}_subact_01_ca_01' for i in range(4)], lengths).tolist(),
        action=np.repeat(['Eating', 'Eating', 'Walking', 'Posing'], lengths).tolist())
    split['joint_2d'][:, 0, 0] = np.arange(n)
    split['2.5d_factor'] = rng.uniform(3, 6, n).tolist()  # lists are published too
    split['joints_2.5d_image'] = rng.normal(size=(n, 17, 3))
    return split


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'h36m.pkl'
    path.write_bytes(pickle.dumps(dict(train=h36m(), test=h36m())))
    return str(path)


# ---- windows -----------------------------------------------------------------------------------


def windows_by_hand(lengths, n, stride):
    """Cut windows as the released code, by frame; None for a resampled window."""
    out, first = [], 0
    for length in lengths:
        start = first
        while start + n <= first + length:
            out.append(list(range(start, start + n)))
            start += stride
        if length < n:
            out.append(None)
        first += length
    return out


@pytest.mark.parametrize(('n', 'stride'), [(6, 2), (6, 6), (4, 9), (30, 1)])
def test_lifting_windows_stay_inside_recordings(n, stride):
    lengths = [5, 12, 6, 1, 29, 7]
    expected = windows_by_hand(lengths, n, stride)
    windows = split_clips(lengths, n, stride)
    assert len(windows) == len(expected)
    first = np.cumsum(lengths) - lengths
    short = iter(np.flatnonzero(np.array(lengths) < n))
    for window, by_hand in zip(windows.tolist(), expected, strict=True):
        if by_hand is None:
            video = next(short)
            by_hand = [first[video] + int(lengths[video] * i / n) for i in range(n)]
        assert window == by_hand


def test_lifting_random_resampling_stays_in_its_bins():
    rng = np.random.default_rng(0)
    draws = np.stack([resample(5, 8, rng) for _ in range(200)])
    places = np.arange(8) * 5 / 8
    assert (np.diff(draws, axis=1) >= 0).all()
    # sorted floor or ceil of each position; the last ceil is out of range
    options = np.sort([np.floor(places), np.ceil(places)], 0)
    assert (draws >= np.floor(places)).all()
    assert (draws <= np.minimum(options[1], 4)).all()
    assert (draws[:, 1] == 1).any()
    assert (draws[:, 1] == 0).any()
    draws = np.stack([resample(20, 4, rng) for _ in range(200)])
    assert (draws // 5 == np.arange(4)).all()
    assert len(np.unique(draws)) == 20


def test_lifting_samples_equal_h36m_fields(ann_file):
    dataset = Human36MDataset(ann_file, split='test', clip_len=6, stride=3, test_mode=True)
    split = h36m()
    assert len(dataset) == 1 + 3 + 1 + 2
    for sample in dataset:
        frames = sample['frame_inds']
        assert len(frames) == 6
        assert {split['source'][i] for i in frames} == {sample['source']}
        np.testing.assert_array_equal(sample['keypoint'][:, 0, 0], frames)
        np.testing.assert_allclose(sample['keypoint'], split['joint_2d'][frames], rtol=1e-6)
        np.testing.assert_allclose(sample['keypoint_score'], split['confidence'][frames, :, 0],
                                   rtol=1e-6)
        np.testing.assert_allclose(sample['target_3d'], split['joints_2.5d_image'][frames],
                                   rtol=1e-6)
        np.testing.assert_allclose(sample['factor'], np.array(split['2.5d_factor'])[frames],
                                   rtol=1e-6)
        assert sample['action'] == split['action'][frames[0]]
        camera = split['camera_name'][frames[0]]
        assert sample['img_shape'] == (1000 if camera == '55011271' else 1002, 1000)
    assert 'action' not in Human36MDataset(ann_file, clip_len=6, stride=3)[0]


def test_lifting_windows_are_copies(ann_file):
    dataset = Human36MDataset(ann_file, clip_len=6, stride=3)
    dataset[0]['keypoint'][:] = -1
    assert (dataset[0]['keypoint'] >= 0).all()
    assert len(dataset.get_subset([4, 1])) == 2
    assert dataset.get_subset([4, 1])[0]['source'] == dataset[4]['source']


def test_lifting_random_windows_are_drawn_once(ann_file):
    first, again, other = (Human36MDataset(ann_file, clip_len=64, stride=9, seed=seed)
                           for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.data_list, again.data_list)
    assert (first.data_list != other.data_list).any()


def spoil(field, value):
    def change(data):
        data['train'][field] = value(data['train'][field]) if callable(value) else value
    return change


def nan(x):
    x = x.copy()
    x[3, 4] = np.nan
    return x


@pytest.mark.parametrize(('change', 'words'), [
    (spoil('joint_2d', lambda x: x[:-1]), r'source: found 33 texts.*expected 32 texts'),
    (spoil('joint3d_image', lambda x: x[..., :2]), 'joint3d_image.*found float32 of shape'),
    (spoil('joint3d_image', nan), 'joint3d_image: found 3 values that are NaN'),
    (spoil('confidence', lambda x: x > 0), 'confidence: found bool'),
    (spoil('joint_2d', lambda x: ['a'] * 10**5 + ['a' * 10**6]), 'joint_2d: found list'),
    (spoil('source', lambda x: x[1:]), 'source: found 32 texts.*expected 33 texts'),
    (spoil('source', lambda x: [*x[1:], 3]), 'found 33 values, not all of them text'),
    (spoil('camera_name', lambda x: ['other'] * len(x)), "camera_name: found 'other'.*cameras"),
    (spoil('camera_name', lambda x: [*x[:-1], '55011271']), 'found .55011271. at frame 32'),
    (lambda data: data['train'].pop('joint_2d'), 'joint_2d: found nothing, expected an array'),
    (lambda data: data.pop('train'), r"splits: found \['test'\], expected a dict with 'train'"),
    (lambda data: data.update(cameras={'a': 3}), 'cameras: found .*expected {name'),
])
def test_lifting_dataset_names_bad_fields(tmp_path, change, words):
    data = dict(train=h36m(), test=h36m())
    change(data)
    path = tmp_path / 'bad.pkl'
    path.write_bytes(pickle.dumps(data))
    with pytest.raises(AnnotationError, match=words) as error:
        Human36MDataset(str(path), clip_len=6)
    assert str(path) in str(error.value)


def test_lifting_dataset_refuses_hostile_and_damaged_pickles(tmp_path, ann_file):
    path = tmp_path / 'bad.pkl'
    path.write_bytes(pickle.dumps(dict(train=print)))
    with pytest.raises(AnnotationError, match='refused the class builtins.print'):
        Human36MDataset(str(path))
    with open(ann_file, 'rb') as f:
        path.write_bytes(f.read(3000))
    with pytest.raises(AnnotationError, match='truncated'):
        Human36MDataset(str(path))
    with pytest.raises(AnnotationError, match='no such file; make it with'):
        Human36MDataset('nowhere.pkl')


def test_mocap_dataset_cuts_recordings_into_windows(tmp_path):
    path = tmp_path / 'clips.npz'
    joints = np.random.default_rng(0).normal(size=(20, 17, 3))
    np.savez(path, keypoint_3d=joints, length=[3, 17], name=['a', 'b'])
    dataset = MotionCaptureDataset(str(path), clip_len=8, stride=4)
    assert [s['source'] for s in dataset] == ['a', 'b', 'b', 'b']
    np.testing.assert_array_equal(dataset[2]['frame_inds'], np.arange(7, 15))
    np.testing.assert_allclose(dataset[2]['keypoint_3d'], joints[7:15], rtol=1e-6)
    for key, value, words in (('length', [3, 16], 'sum to 20'), ('name', ['a'], '2 texts')):
        content = dict(keypoint_3d=joints, length=[3, 17], name=['a', 'b'])
        np.savez(path, **{**content, key: value})
        with pytest.raises(AnnotationError, match=words):
            MotionCaptureDataset(str(path), clip_len=8, stride=4)


# ---- transforms --------------------------------------------------------------------------------


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    return dict(keypoint=rng.uniform(0, 900, (6, 17, 2)).astype(np.float32),
                keypoint_score=rng.uniform(.1, 1, (6, 17)).astype(np.float32),
                keypoint_3d=rng.uniform(-300, 900, (6, 17, 3)).astype(np.float32),
                img_shape=(1002, 1000))


def copy(sample):
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in sample.items()}


def check_inverse(out, sample):
    """Invert the normalization."""
    keypoint = out['keypoint'].astype(np.float64) * out['norm_scale'] + out['norm_center']
    np.testing.assert_allclose(keypoint, sample['keypoint'], atol=1e-3)


def test_camera_normalization_equals_formula(sample):
    out = NormalizeByWidth()(copy(sample))
    x, label = sample['keypoint'].astype(np.float64), sample['keypoint_3d'].astype(np.float64)
    expected = x / 1000 * 2 - [1, 1002 / 1000]
    np.testing.assert_allclose(out['keypoint'], expected, atol=1e-6)
    np.testing.assert_allclose(out['keypoint_3d'][..., :2], label[..., :2] / 1000 * 2
                               - [1, 1002 / 1000], atol=1e-6)
    np.testing.assert_allclose(out['keypoint_3d'][..., 2], label[..., 2] / 1000 * 2, atol=1e-6)
    assert out['keypoint'].dtype == np.float32
    check_inverse(out, sample)


def test_box_normalization_fills_the_unit_square_and_inverts(sample):
    """Checks that keypoints fill [-1, 1] along one axis, with labels, and the inverse."""
    sample['keypoint'][0, 3] = 1e4
    sample['keypoint_score'][0, 3] = 0
    out = NormalizeByBox()(copy(sample))
    valid = out['keypoint'][sample['keypoint_score'] != 0]
    size = valid.max(0) - valid.min(0)
    np.testing.assert_allclose(size.max(), 2, rtol=1e-5)
    np.testing.assert_allclose(valid.max(0) + valid.min(0), 0, atol=1e-4)
    for key, offset in (('keypoint', out['norm_center']), (
            'keypoint_3d', np.append(out['norm_center'], 0))):
        np.testing.assert_allclose(out[key] * out['norm_scale'] + offset, sample[key], atol=1e-3)
    empty = NormalizeByBox()(dict(sample, keypoint_score=np.zeros_like(
        sample['keypoint_score'])))
    np.testing.assert_allclose(empty['keypoint'], sample['keypoint'])


def test_pixel_normalization_equals_formula(sample):
    sample['img_shape'] = (480, 640)
    out = NormalizeByShortSide()(copy(sample))
    x = sample['keypoint'].astype(np.float64)
    np.testing.assert_allclose(out['keypoint'], (x - [320, 240]) / 240, atol=1e-6)
    check_inverse(out, sample)


@pytest.mark.parametrize('shape', [(6, 17), (2, 6, 17)])
def test_crop_scale_fills_the_unit_square_and_inverts(shape):
    rng = np.random.default_rng(2)
    x = rng.normal(300, 80, (*shape, 2))
    score = rng.random(shape) * (rng.random(shape) < .7)
    valid = x[score > 0]
    for ratio in (.5, 1, 2):
        out = CropScale((ratio, ratio))(dict(keypoint=x.copy(), keypoint_score=score))
        s = max(np.ptp(valid[:, 0]), np.ptp(valid[:, 1])) * ratio
        corner = (valid.min(0) + valid.max(0) - s) / 2
        raw = 2 * ((x - corner) / s - .5)
        np.testing.assert_allclose(out['keypoint'], raw.clip(-1, 1), atol=1e-6)
        inverse = out['keypoint'] * out['norm_scale'] + out['norm_center']
        inside = np.abs(raw) < 1
        np.testing.assert_allclose(inverse[inside], x[inside], atol=1e-3)
        np.testing.assert_allclose(out['keypoint_score'], score, atol=1e-7)


def test_crop_scale_draws_ratio_and_zeros_empty_clip():
    x = np.random.default_rng(2).normal(300, 80, (6, 17, 2))
    np.random.seed(0)
    spans = [np.ptp(CropScale((1, 3))(dict(keypoint=x, keypoint_score=np.ones((6, 17))))
                    ['keypoint'].reshape(-1, 2), 0).max() for _ in range(50)]
    assert 2 / 3 - 1e-6 <= min(spans) < .8
    assert 1.7 < max(spans) <= 2 + 1e-6
    score = np.zeros((6, 17))
    score[0, :3] = 1
    for keypoint, confidence in ((x, score), (np.ones_like(x), np.ones((6, 17)))):
        out = CropScale()(dict(keypoint=keypoint, keypoint_score=confidence))
        assert not out['keypoint'].any()
        assert not out['keypoint_score'].any()


def test_crop_scale_3d_equals_formula(sample):
    out = CropScale3D((.5, .5))(copy(sample))
    v = sample['keypoint_3d'].astype(np.float64)
    v[..., 2] -= v[0, 0, 2]
    low, high = v.min((0, 1))[:2], v.max((0, 1))[:2]
    s = (high - low).max() / .5
    v[..., :2] -= (low + high - s) / 2
    np.testing.assert_allclose(out['keypoint_3d'], 2 * (v / s - .5), atol=1e-5)
    still = CropScale3D()(dict(keypoint_3d=np.ones((2, 17, 3))))
    assert not still['keypoint_3d'].any()


def test_lifting_labels_become_meters_and_keypoints(sample):
    out = SyntheticKeypoints()(ScaleMotion()(copy(sample)))
    v = sample['keypoint_3d'].astype(np.float64)
    np.testing.assert_allclose(out['keypoint_3d'], .298 * v, rtol=1e-6)
    np.testing.assert_allclose(out['keypoint'] * out['norm_scale'], v[..., :2], rtol=1e-6)
    assert (out['keypoint_score'] == 1).all()
    out['keypoint'][:] = 0
    assert out['keypoint_3d'].any()


def test_lifting_flip_mirrors_and_swaps_sides(sample):
    out = LiftingFlip(prob=1)(copy(sample))
    for key in ('keypoint', 'keypoint_3d', 'keypoint_score'):
        expected = sample[key].astype(np.float64)
        expected[:, LEFT + RIGHT] = expected[:, RIGHT + LEFT]
        if key != 'keypoint_score':
            expected[..., 0] *= -1
        np.testing.assert_array_equal(out[key], expected)
    twice = LiftingFlip(prob=1)(copy(out))
    np.testing.assert_array_equal(twice['keypoint_3d'], sample['keypoint_3d'])
    np.random.seed(0)
    assert 60 < sum(LiftingFlip(prob=.4)(copy(sample))['flip'] for _ in range(200)) < 100
    assert (LiftingFlip(prob=0)(copy(sample))['keypoint'] == sample['keypoint']).all()


def test_lifting_mirror_adds_a_clip_per_recording(sample):
    sample = {key: sample[key] for key in ('keypoint', 'keypoint_score')}
    mirrored = LiftingFlip(prob=1)(copy(sample))
    out = LiftingMirror()(copy(sample))
    for key in ('keypoint', 'keypoint_score'):
        np.testing.assert_array_equal(out[key], np.stack([sample[key], mirrored[key]]))
    persons = {key: value[:, None].repeat(3, 1) for key, value in out.items() if key in sample}
    packed = PackLiftingInputs()(persons)['inputs']['keypoints']
    assert packed.shape == (2, 3, 17, len(sample['keypoint']), 3)  # clips, persons, joints, frames
    np.testing.assert_array_equal(packed[1, 0, :, :, :2].transpose(0, 1),
                                  mirrored['keypoint'].astype(np.float32))


def test_missing_joints_are_interpolated_along_time():
    rng = np.random.default_rng(0)
    keypoint = rng.normal(size=(2, 9, 17, 2)).astype(np.float32)
    score = rng.uniform(.2, 1, (2, 9, 17)).astype(np.float32)
    score[rng.random(score.shape) < .5] = 0
    score[0, :, 3] = 0
    out = FillJoints()(dict(keypoint=keypoint, keypoint_score=score))
    for person, joint in np.ndindex(2, 17):
        seen = np.flatnonzero(score[person, :, joint])
        if not len(seen):
            assert not out['keypoint_score'][person, :, joint].any()
            continue
        for axis in range(2):
            np.testing.assert_allclose(
                out['keypoint'][person, :, joint, axis],
                np.interp(range(9), seen, keypoint[person, seen, joint, axis]), atol=1e-6)
        for row in range(9):
            ends = seen[seen <= row][-1:], seen[seen >= row][:1]
            assert out['keypoint_score'][person, row, joint] == \
                score[person, np.concatenate(ends), joint].min()


def test_random_yaw_rotates_about_the_vertical(sample, monkeypatch):
    v = sample['keypoint_3d'].astype(np.float64)
    with monkeypatch.context() as patch:
        patch.setattr(np.random, 'uniform', lambda low, high: 90)
        out = RandomYaw()(copy(sample))['keypoint_3d']
    np.testing.assert_allclose(out[..., 1], v[..., 1], rtol=1e-6)
    middle = v[:, 0].mean(0)
    moved, before = out - middle, v - middle
    # x becomes depth, the mean root position is unchanged
    np.testing.assert_allclose(np.abs(moved[..., 2]), np.abs(before[..., 0]), atol=1e-3)
    np.testing.assert_allclose(moved[..., 0] * moved[..., 2], -before[..., 0] * before[..., 2],
                               rtol=1e-3, atol=1e-1)
    np.testing.assert_allclose(out[:, 0].mean(0), middle, rtol=1e-4)
    np.random.seed(0)
    angles = [RandomYaw()(copy(sample))['keypoint_3d'][0, 5, 0] for _ in range(20)]
    assert np.std(angles) > 10


def test_pack_lifting_inputs_gives_tensors_and_flags(sample):
    sample.update(source='a', frame_inds=np.arange(6))
    score = sample['keypoint_score']
    score[2, 3] = 0
    out = PackLiftingInputs(noise=True)(ZeroMissing()(copy(sample)))
    inputs = out['inputs']
    assert inputs['keypoints'].shape == (1, 17, 6, 3)
    keypoint = inputs['keypoints'][0].permute(1, 0, 2).numpy()  # (T, J, 3)
    np.testing.assert_array_equal(keypoint[..., 2], score)
    assert not keypoint[2, 3].any()
    np.testing.assert_array_equal(np.delete(keypoint[..., :2].reshape(-1, 2), 2 * 17 + 3, 0),
                                  np.delete(sample['keypoint'].reshape(-1, 2), 2 * 17 + 3, 0))
    np.testing.assert_array_equal(inputs['target'], sample['keypoint_3d'])
    assert inputs['noise'].item() is True
    assert inputs['masked'].item() is False
    assert out['data_samples'].source == 'a'
    persons = dict(keypoint=np.zeros((3, 6, 17, 2)), keypoint_score=np.zeros((3, 6, 17)))
    assert PackLiftingInputs()(persons)['inputs'].keys() == {'keypoints', 'noise', 'masked'}
    assert PackLiftingInputs()(persons)['inputs']['keypoints'].shape == (3, 17, 6, 3)


@pytest.mark.parametrize(('make', 'words'), [
    (lambda: CropScale((0, 1)), 'scale_range'), (lambda: CropScale3D((2, 1)), 'low <= high'),
    (lambda: ScaleMotion(0), 'positive'), (lambda: LiftingFlip(2), r'number in \[0, 1\]'),
])
def test_lifting_transforms_name_bad_options(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_crop_scale_refuses_3d_labels(sample):
    with pytest.raises(ValueError, match='use CropScale3D for labels'):
        CropScale()(sample)


# ---- data of configs ---------------------------------------------------------------------------


def test_lifting_dataset_loads_in_workers(ann_file):
    dataset = Human36MDataset(ann_file, split='test', clip_len=6, stride=3, test_mode=True,
                              pipeline=[NormalizeByWidth(), PackLiftingInputs()])
    loader = DataLoader(dataset, 4, num_workers=1, collate_fn=motion_collate)
    batches = list(loader)
    keypoints = torch.cat([b['inputs']['keypoints'] for b in batches])
    assert keypoints.shape == (7, 1, 17, 6, 3)
    frames = np.stack([s.frame_inds for b in batches for s in b['data_samples']])
    np.testing.assert_allclose((keypoints[:, 0, 0, :, 0] + 1) * 500, frames, atol=1e-3)


@pytest.mark.parametrize('name', ['pretrain_lifting', 'pretrain_lifting_tiny'])
def test_lifting_configs_normalize_and_mask(name, tmp_path):
    init_default_scope('mofm')
    cfg = load_config(Config.fromfile(BASES / f'{name}.py'))
    data = dict(train=h36m(), test=h36m())
    (tmp_path / 'h36m.pkl').write_bytes(pickle.dumps(data))
    rng = np.random.default_rng(0)
    np.savez(tmp_path / 'clips.npz', keypoint_3d=rng.normal(size=(30, 17, 3)), length=[30],
             name=['a'])
    ann = dict(frame_dir='a', label=1, img_shape=(480, 640), total_frames=40,
               keypoint=rng.uniform(0, 400, (1, 40, 17, 2)).astype(np.float32),
               keypoint_score=np.ones((1, 40, 17), np.float32))
    dump_annotations(dict(split=dict(train=['a']), annotations=[ann]), tmp_path / '2d.pkl')
    train = cfg.train_dataloader
    for loader in (train, cfg.val_dataloader, *cfg.extra_dataloaders):
        for dataset in loader.dataset.get('datasets', [loader.dataset]):
            dataset.ann_file = str(tmp_path / dict(
                MotionCaptureDataset='clips.npz', Human36MDataset='h36m.pkl').get(
                    dataset.type, '2d.pkl'))
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        clean = batch['inputs']['keypoints']
        assert torch.isfinite(clean).all()
        if loader is not cfg.val_dataloader:
            assert batch['inputs']['masked'].all()
        if loader is train:  # orthographic: x and y of the label
            label = batch['inputs']['target'].permute(0, 2, 1, 3)[:, None]
            torch.testing.assert_close(clean[..., :2], label[..., :2])
            assert batch['inputs']['noise'].all()
            assert (clean[..., 2] == 1).all()
