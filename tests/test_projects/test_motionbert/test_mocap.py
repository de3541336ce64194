"""Data preparation for lifting: virtual cameras, AMASS, 2D sources, baselines."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from scipy.spatial.transform import Rotation

from mofm.annotations import AnnotationError, dump_annotations
from mofm.datasets import MotionDataset, TrackWindowDataset
from mofm.registry import DATASETS
from mofm.utils.config import load_config
from projects.motionbert.lifting.datasets import (
    Human36MDataset,
    LabeledTrackDataset,
    MotionCaptureDataset,
)
from projects.motionbert.lifting.metrics import PoseAccuracy3D
from projects.motionbert.lifting.sources import InstaVariety, PoseTrack18
from projects.motionbert.lifting.transforms import NormalizeByWidth
from projects.motionbert.mesh import amass
from projects.motionbert.mesh.smpl_files import read_joint_regressor

TOOLS = Path(__file__).resolve().parents[3] / 'projects/motionbert/tools'
RELEASE = TOOLS.parent / 'configs/pretrain_dstformer_release.py'
BANDAI = ('dataset-2_walk_active_001', 'dataset-2_wave-left-hand_active_001',
          'dataset-1_bow_old_001', 'dataset-1_walk-left_old_001', 'dataset-1_bye_old_001')


@pytest.fixture
def tools(monkeypatch):
    """Import tools by name."""
    monkeypatch.syspath_prepend(str(TOOLS))
    for name in ('prepare_mocap', 'prepare_2d', 'lifting_baselines'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__


@pytest.fixture
def bandai(tmp_path):
    """Create five small recordings of one moving body, one with a long path."""
    rng = np.random.default_rng(0)
    body = rng.uniform((-.3, 0, -.3), (.3, 1.4, .3), (22, 3))
    length = np.array([30, 25, 30, 40, 8])
    path = rng.normal(size=(length.sum(), 1, 3)).cumsum(0) * .01
    path[30:55, 0, 2] += np.linspace(0, 9, 25)
    path[..., 1] = 0
    file = tmp_path / 'bandai.npz'
    np.savez(file, xyz=(body + path + rng.normal(size=(length.sum(), 22, 3)) * .05).astype(
        np.float16), length=length, name=np.array(BANDAI))
    return file


def test_prepare_mocap_puts_nose_before_the_head(tools):
    """Checks a person facing z, also rotated and tilted."""
    tool = tools('prepare_mocap')
    names = list(tool.LAYOUT.joints)
    joints = np.zeros((1, 17, 3))
    joints[0, names.index('left_shoulder')] = .2, 1.4, 0
    joints[0, names.index('right_shoulder')] = -.2, 1.4, 0
    joints[0, names.index('neck')] = 0, 1.4, 0
    joints[0, [names.index('nose'), names.index('head')]] = 0, 1.5, 0
    expected = joints.copy()
    expected[0, names.index('nose')] = 0, 1.58, .12
    expected[0, names.index('head')] = 0, 1.7, 0
    turn = Rotation.from_euler('yxz', [[0, 0, 0], [120, 30, -20]], degrees=True)
    turned, expected = (np.stack([r.apply(x[0]) for r in turn]) for x in (joints, expected))
    np.testing.assert_allclose(tool.add_head(turned), expected, atol=1e-12)


def test_prepare_mocap_writes_bandai_in_format_of_h36m(tools, bandai, tmp_path):
    tool = tools('prepare_mocap')
    tool.main(['bandai', str(bandai), str(tmp_path / 'out'), '--views', '1', '3'])
    with open(tmp_path / 'out/bandai_h36m.pkl', 'rb') as f:
        data = pickle.load(f)
    names = {split: sorted({s[:-6] for s in data[split]['source']}) for split in data
             if split != 'cameras'}
    assert names == dict(train=sorted(BANDAI[:2]), test=[BANDAI[2]], test_seen=sorted(BANDAI[3:]))
    assert len(data['test']['source']) == 3 * 30
    assert sorted(set(data['test']['source'])) == [f'{BANDAI[2]}_ca_0{i}' for i in (1, 2, 3)]
    with np.load(bandai) as file:
        joints = np.split(file['xyz'].astype(float), np.cumsum(file['length'])[:-1])
    # pelvis, right hip, right knee, right ankle, ...; nose and head not yet added
    order = [1, 18, 19, 20, 14, 15, 16, 2, 4, 5, 5, 7, 8, 9, 11, 12, 13]
    for split in names:
        part = data[split]
        factor = part['2.5d_factor'][:, None, None].astype(float)
        np.testing.assert_allclose(part['joint3d_image'] * factor, part['joints_2.5d_image'],
                                   rtol=1e-5, atol=1e-2)
        np.testing.assert_allclose(part['joint_2d'][:, 0], part['joint3d_image'][:, 0, :2],
                                   rtol=1e-5)
        assert (part['joint_2d'] >= 0).all()
        assert (part['joint_2d'] < 1000).all()
        for source in sorted(set(part['source'])):
            rows = np.array(part['source']) == source
            world = tool.add_head(joints[BANDAI.index(source[:-6])][:, order])
            label = part['joints_2.5d_image'][rows].astype(float) / 1000
            label -= label[:, :1]
            # a single rotation maps the world to the labels in meters
            local = world - world[:, :1]
            rotation, _ = Rotation.align_vectors(label.reshape(-1, 3), local.reshape(-1, 3))
            np.testing.assert_allclose(rotation.apply(local.reshape(-1, 3)),
                                       label.reshape(-1, 3), atol=1e-4)
            # joint_2d is the perspective projection of the labels with one focal length
            root = part['joint_2d'][rows][:, :1] - 500.
            scale = factor[rows] / 1000  # Z_0 / f
            x, dz = root * scale + label[..., :2], label[..., 2:]
            u = part['joint_2d'][rows] - 500.
            # u = f X / (Z_0 + dz) = X / (Z_0 / f + dz / f)
            inverse_focal = ((x - u * scale) * u * dz).sum() / ((u * dz)**2).sum()
            assert 1100 < 1 / inverse_focal < 1200
            np.testing.assert_allclose(u * (scale + dz * inverse_focal), x, atol=1e-3)
    clips = MotionCaptureDataset(str(tmp_path / 'out/bandai_clips.npz'), clip_len=25, stride=25)
    assert sorted({c['source'] for c in clips}) == sorted(BANDAI[:2])
    np.testing.assert_allclose(clips[0]['keypoint_3d'], tool.add_head(
        joints[0][:25, order]) * [1, -1, -1], atol=1e-5)
    assert len(Human36MDataset(str(tmp_path / 'out/bandai_h36m.pkl'), clip_len=25,
                               stride=25)) == 2


def test_prepare_mocap_labels_have_no_error_in_the_protocol(tools, bandai, tmp_path):
    tools('prepare_mocap').main(['bandai', str(bandai), str(tmp_path)])
    metric = PoseAccuracy3D()
    for split in ('test', 'test_seen'):
        samples = list(Human36MDataset(
            str(tmp_path / 'bandai_h36m.pkl'), split=split, clip_len=10, stride=10,
            test_mode=True, pipeline=[NormalizeByWidth()]))
        for factor in (1, 1.5):
            metric.results.clear()
            metric.process({}, [dict(s, pred_keypoints_3d=torch.from_numpy(
                s['keypoint_3d'][None] * factor)) for s in samples])
            errors = metric.compute_metrics(metric.results)
            assert errors['p_mpjpe'] < .02
            assert errors['n_mpjpe'] < .02
            local = np.concatenate([s['target_3d'] - s['target_3d'][:, :1] for s in samples])
            size = np.linalg.norm(local, axis=-1)
            if split == 'test':  # one action
                assert errors['mpjpe'] == pytest.approx((factor - 1) * size.mean(), abs=.02)


def test_prepare_mocap_cameras_depend_on_name_and_view_only(tools):
    tool = tools('prepare_mocap')
    joints = np.random.default_rng(0).normal(size=(9, 17, 3)) * .3
    camera = tool.place_camera(joints, 'a', 1, 0)
    again = tool.place_camera(joints, 'a', 1, 0)
    np.testing.assert_array_equal(camera.rotation, again.rotation)
    for name, view, seed in (('b', 1, 0), ('a', 2, 0), ('a', 1, 1)):
        other = tool.place_camera(joints, name, view, seed)
        assert not np.allclose(camera.rotation, other.rotation)


def test_prepare_mocap_reads_all_of_bandai(tools, real_data):
    recordings = dict(tools('prepare_mocap').read_bandai(real_data('bandai_namco_15fps.npz')))
    assert len(recordings) == 3076
    assert sum(map(len, recordings.values())) == 209188
    splits = [tools('prepare_mocap').split_of(name) for name in recordings]
    assert [splits.count(s) for s in ('train', 'test', 'test_seen')] == [2902, 39, 135]
    joints = recordings['dataset-1_bow_active_001']
    up = joints[0, :, 1]
    assert up[10] > up[8] > up[7] > up[0] > up[2] > up[3]
    assert up[6] < up[5] < up[4]
    thigh = np.linalg.norm(joints[:, 1] - joints[:, 2], axis=-1)
    np.testing.assert_allclose(thigh, .391, atol=4e-3)  # meters, stored as float16


def test_prepare_mocap_names_bad_npz(tools, tmp_path):
    np.savez(tmp_path / 'a.npz', xyz=np.zeros((5, 22, 3)), length=[4], name=['a_b_c_d'])
    with pytest.raises(AnnotationError, match='a.npz: found ValueError: 5 frames.*lengths of 4'):
        tools('prepare_mocap').read_bandai(tmp_path / 'a.npz')


# ---- AMASS --------------------------------------------------------------------------------------

V = 30


@pytest.fixture
def body_models(tmp_path):
    """Write random substitutes of the licensed files, with 30 vertices."""
    rng = np.random.default_rng(0)
    parents = np.r_[2**32 - 1, [rng.integers(i) for i in range(1, 52)]].astype(np.int64)
    for gender in ('male', 'female'):
        for kind in ('smplh', 'dmpls'):
            (tmp_path / kind / gender).mkdir(parents=True)
        weights = rng.random((V, 52))
        np.savez(tmp_path / 'smplh' / gender / 'model.npz', v_template=rng.normal(size=(V, 3)),
                 shapedirs=rng.normal(size=(V, 3, 18)) * .1,
                 posedirs=rng.normal(size=(V, 3, 459)) * .02, J_regressor=rng.random((52, V)) / V,
                 weights=weights / weights.sum(1, keepdims=True),
                 kintree_table=np.stack([parents, np.arange(52)]))
        np.savez(tmp_path / 'dmpls' / gender / 'model.npz',
                 eigvec=rng.normal(size=(V, 3, 20)) * .1)
    np.save(tmp_path / 'regressor.npy', rng.random((17, V)) / V)
    return tmp_path


def smplh_by_hand(folder, gender, poses, betas, dmpls, trans):
    """Compute joints in float64 by SMPL's formulas (Loper et al. 2015, Eqs. 2 to 10)."""
    body = np.load(folder / 'smplh' / gender / 'model.npz')
    dirs = np.concatenate([body['shapedirs'][..., :16], np.load(
        folder / 'dmpls' / gender / 'model.npz')['eigvec'][..., :8]], -1)
    regressor, out = np.load(folder / 'regressor.npy'), []
    for pose, dmpl, place in zip(poses, dmpls, trans, strict=True):
        shaped = body['v_template'] + dirs @ np.r_[betas, dmpl]
        joints = body['J_regressor'] @ shaped
        rotations = Rotation.from_rotvec(pose.reshape(52, 3)).as_matrix()
        posed = shaped + body['posedirs'] @ (rotations[1:] - np.eye(3)).ravel()
        world = []
        for j, parent in enumerate(body['kintree_table'][0]):
            local = np.eye(4)
            local[:3, :3] = rotations[j]
            local[:3, 3] = joints[j] - (joints[parent] if j else 0)
            world.append(world[parent] @ local if j else local)
        vertices = np.zeros((V, 3))
        for j in range(52):
            moved = (posed - joints[j]) @ world[j][:3, :3].T + world[j][:3, 3]
            vertices += body['weights'][:, j:j + 1] * moved
        out.append(regressor @ (vertices + place))
    return np.stack(out)


def recording(frames=10, fps=120., gender='male'):
    rng = np.random.default_rng(frames)
    return dict(poses=rng.normal(size=(frames, 156)) * .3, betas=rng.normal(size=16),
                dmpls=rng.normal(size=(frames, 8)), trans=rng.normal(size=(frames, 3)),
                mocap_framerate=fps, gender=gender)


def test_prepare_mocap_converts_amass(tools, body_models, tmp_path, capsys, monkeypatch):
    pytest.importorskip('smplx')
    tool = tools('prepare_mocap')
    monkeypatch.setattr(tool, '_LONGEST', 4)
    monkeypatch.setattr(amass, '_BATCH', 3)
    folder = tmp_path / 'amass/CMU/01'
    folder.mkdir(parents=True)
    walk, jump = recording(10, 120.), recording(3, 50., np.array(b'neutral'))
    np.savez(folder / 'walk_poses.npz', **walk)
    np.savez(folder / 'jump_poses.npz', **jump)
    np.savez(folder / 'bad_poses.npz', **{**walk, 'trans': np.full((10, 3), np.nan)})
    np.savez(folder / 'shape.npz', betas=np.zeros(16))
    (folder / 'cut_poses.npz').write_bytes((folder / 'walk_poses.npz').read_bytes()[:500])
    tool.main(['amass', str(tmp_path / 'amass'), str(tmp_path / 'clips.npz'), '--body-models',
               str(body_models), '--joint-regressor', str(body_models / 'regressor.npy'),
               '--device', 'cpu'])
    printed = capsys.readouterr().out
    assert '2 of 4 files skipped' in printed
    assert 'bad_poses.npz: trans: found NaN' in printed
    assert 'cut_poses.npz: cannot be' in printed
    with np.load(tmp_path / 'clips.npz') as file:
        assert file['name'].tolist() == [
            'CMU/01/jump_poses_0', 'CMU/01/walk_poses_0', 'CMU/01/walk_poses_1']
        assert file['length'].tolist() == [3, 4, 1]  # 60 frames per second, cut
        found = file['keypoint_3d']
    names = ('poses', 'betas', 'dmpls', 'trans')
    expected = np.concatenate([
        smplh_by_hand(body_models, gender, *(d[n] if n == 'betas' else d[n][::step]
                                             for n in names))
        for d, gender, step in ((jump, 'female', 1), (walk, 'male', 2))])
    matrix = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    np.testing.assert_allclose(found, expected @ matrix, atol=1e-4)


def test_amass_reader_names_bad_files(body_models, tmp_path):
    pytest.importorskip('smplx')
    regressor = read_joint_regressor(body_models / 'regressor.npy')
    (body_models / 'dmpls/male/model.npz').unlink()
    with pytest.raises(AnnotationError, match='dmpls/male/model.npz: cannot be read'):
        amass.SMPLH(body_models, 'male', regressor, 'cpu')
    with pytest.raises(AnnotationError, match=r'shapedirs: found shape \(30, 3, 18\)'):
        amass.SMPLH(body_models, 'female', regressor[:, :-1], 'cpu')
    with pytest.raises(AnnotationError, match='J_regressor_h36m_correct.npy'):
        read_joint_regressor(tmp_path / 'nowhere.npy')
    np.savez(tmp_path / 'a.npz', **{**recording(), 'poses': np.zeros((10, 72))})
    with pytest.raises(AnnotationError, match=r'poses: found shape \(10, 72\)'):
        amass.read_amass(tmp_path / 'a.npz')


# ---- 2D -----------------------------------------------------------------------------------------


def posetrack(frames=6, tracks=(3, 8)):
    """Create a video in PoseTrack's format; track 8 misses frame 2."""
    rng = np.random.default_rng(0)
    images = [dict(id=10000 + i, file_name=f'images/{i}.jpg') for i in range(frames)]
    poses = []
    for image in images:
        for track in tracks:
            if (track, image['id']) != (8, 10002):
                points = np.c_[rng.uniform(10, 600, (17, 2)), rng.random(17) < .8]
                poses.append(dict(image_id=image['id'], track_id=track,
                                  keypoints=points.ravel().tolist()))
    rng.shuffle(poses)
    return dict(images=images, annotations=poses)


def test_prepare_2d_converts_posetrack(tools, tmp_path, capsys):
    folder = tmp_path / 'train'
    folder.mkdir()
    video = posetrack()
    (folder / '0001.json').write_text(json.dumps(video))
    bad = posetrack()
    bad['annotations'][0]['image_id'] = 7
    (folder / '0002.json').write_text(json.dumps(bad))
    tools('prepare_2d').main(['posetrack18', str(folder), str(tmp_path / 'out.pkl')])
    printed = capsys.readouterr().out
    assert '2 tracks, 11 frames' in printed
    assert "0002.json: image_id: found 7" in printed
    clips = MotionDataset(str(tmp_path / 'out.pkl'), layout='h36m17', to_layout='h36m17')
    assert [(c['frame_dir'], c['total_frames']) for c in clips] == [('0001_3', 6), ('0001_8', 5)]
    assert clips[1]['frame_inds'].tolist() == [0, 1, 3, 4, 5]
    for clip in clips:
        for row, frame in enumerate(clip['frame_inds']):
            pose, = (np.reshape(p['keypoints'], (17, 3)) for p in video['annotations']
                     if (p['track_id'], p['image_id']) == (clip['track_id'], 10000 + frame))
            # the table of the released code
            h36m = pose[[0, 12, 14, 16, 11, 13, 15, 0, 1, 0, 2, 5, 7, 9, 6, 8, 10]]
            h36m[0] = [*(pose[11, :2] + pose[12, :2]) / 2, min(pose[11, 2], pose[12, 2])]
            h36m[7] = [*(h36m[0, :2] + h36m[8, :2]) / 2, min(h36m[0, 2], h36m[8, 2])]
            h36m[h36m[:, 2] == 0] = 0
            np.testing.assert_allclose(clip['keypoint'][0, row], h36m[:, :2], rtol=1e-5)
            np.testing.assert_array_equal(clip['keypoint_score'][0, row], h36m[:, 2])


@pytest.mark.parametrize(('change', 'words'), [
    (lambda d: d['annotations'][0].update(keypoints=[1] * 50), 'keypoints: found'),
    (lambda d: d['annotations'][0].update(track_id=[]), 'track_id: found'),
    (lambda d: d['annotations'][0].update(track_id=1.5), 'whole numbers'),
    (lambda d: d['images'][0].update(id={}), 'images without an id'),
    (lambda d: d['annotations'].append(d['annotations'][0]), 'a track twice in one image'),
    (lambda d: d['images'].clear(), 'images: found 0'),
    (lambda d: d['images'][0].update(height='x'), 'images: found height'),
    (lambda d: d.update(annotations={}), 'annotations: found {}'),
])
def test_prepare_2d_names_bad_posetrack(tmp_path, change, words):
    video = posetrack()
    change(video)
    (tmp_path / 'a.json').write_text(json.dumps(video))
    with pytest.raises(AnnotationError, match=words):
        list(PoseTrack18(tmp_path, strict=True))


def test_prepare_2d_converts_instavariety(tools, tmp_path):
    motion = np.random.default_rng(0).uniform(-1, 1, (20, 17, 3))
    motion[..., 2] = motion[..., 2].clip(0)
    motion[0, 0] = 0, 0, .9  # the first root is the origin
    motion[motion[..., 2] == 0] = 0
    np.save(tmp_path / 'motion_all.npy', motion)
    np.save(tmp_path / 'id_all.npy', np.repeat([4, 9], [12, 8]))
    tools('prepare_2d').main(['instavariety', str(tmp_path), str(tmp_path / 'out.pkl')])
    dataset = TrackWindowDataset(str(tmp_path / 'out.pkl'), layout='h36m17', to_layout='h36m17',
                                 seg_len=6, stride=3, min_len=1)
    window = dataset[1]
    score = motion[3:9, :, 2]
    np.testing.assert_allclose(window['keypoint_score'][0], score, rtol=1e-6)
    px = window['keypoint'][0]
    np.testing.assert_allclose((px / 500 - 1)[score > 0], motion[3:9, :, :2][score > 0],
                               atol=1e-6)
    assert not px[score == 0].any()
    assert dataset[0]['keypoint'][0, 0, 0].tolist() == [500, 500]
    assert len(dataset) == 2 + 1
    np.save(tmp_path / 'id_all.npy', np.arange(19))
    with pytest.raises(AnnotationError, match=r'\(20, 17, 3\), expected.*\(19, 17, 3\)'):
        list(InstaVariety(tmp_path, strict=True))


def labeled_track(frames, joints=range(17), gap=0, without_hip=None, seed=0):
    """Create poses (T, 17, 3) of PoseTrack by frame number, with the ears unlabeled."""
    rng = np.random.default_rng(seed)
    poses = np.zeros((frames, 17, 3))
    named = [joint for joint in joints if joint not in (3, 4)]
    poses[:, named] = np.concatenate([rng.uniform(10, 600, (frames, len(named), 2)),
                                      np.ones((frames, len(named), 1))], -1)
    if without_hip is not None:
        poses[without_hip, 11] = 0
    return {i + gap * (i > 5): pose for i, pose in enumerate(poses)}


def released_2d(pose, ratio):
    """Crop, clip and convert poses (T, 17, 3) of PoseTrack as the release does."""
    seen = pose[..., 2] > 0
    low, high = pose[seen][:, :2].min(0), pose[seen][:, :2].max(0)
    side = (high - low).max() * ratio
    pose = pose.copy()
    pose[..., :2] = (2 * (pose[..., :2] - (low + high - side) / 2) / side - 1).clip(-1, 1)
    h36m = pose[:, [0, 12, 14, 16, 11, 13, 15, 0, 1, 0, 2, 5, 7, 9, 6, 8, 10]]
    h36m[:, 0] = (pose[:, 11] + pose[:, 12]) / 2
    h36m[:, 0, 2] = np.minimum(pose[:, 11, 2], pose[:, 12, 2])
    h36m[:, 7] = (h36m[:, 0] + h36m[:, 8]) / 2
    h36m[:, 7, 2] = np.minimum(h36m[:, 0, 2], h36m[:, 8, 2])
    return h36m * (h36m[..., 2:] > 0)


def test_released_2d_data_are_cropped_clipped_and_labeled_enough(tools, tmp_path):
    """From files of PoseTrack and InstaVariety through the config: tracks 1 and 2 are left."""
    init_default_scope('mofm')
    cfg = load_config(RELEASE)
    first, second = (loader.dataset for loader in cfg.train_cfg.extra_dataloaders)
    few = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12]  # 11 joints
    tracks = {1: labeled_track(35, few), 2: labeled_track(30, gap=9, seed=1),
              3: labeled_track(29), 4: labeled_track(30, few[1:]),
              5: labeled_track(30, without_hip=20)}
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/a.json').write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=640, height=640) for i in range(45)],
        annotations=[dict(image_id=frame, track_id=number, keypoints=pose.ravel().tolist())
                     for number, track in tracks.items() for frame, pose in track.items()])))
    main = tools('prepare_2d').main
    main(['posetrack18', str(tmp_path / 'train'), str(tmp_path / 'a.pkl')])
    for part in (first, second):
        part.pipeline = [step for step in part.pipeline if step.type != 'LiftingFlip']
    dataset = DATASETS.build(dict(first, ann_file=str(tmp_path / 'a.pkl')))
    assert len(dataset) == 2
    clipped = 0
    for i, track in enumerate((tracks[1], tracks[2])):
        np.random.seed(i)
        inputs = dataset[i]['inputs']
        np.random.seed(i)
        expected = released_2d(np.array(list(track.values())[:30]), np.random.uniform(.25, 1))
        np.testing.assert_allclose(inputs['keypoints'][0].movedim(0, 1), expected, atol=2e-5)
        assert inputs['noise']
        clipped += (np.abs(expected[..., :2]) == 1).sum()
    assert clipped > 100

    motion = np.random.default_rng(0).uniform(-1, 1, (81 + 30, 17, 3))
    motion[..., 2] = .9
    motion[3, 2] = 0
    motion[81, 0, 2] = 0  # the first pelvis of the second video
    (tmp_path / 'insta').mkdir()
    np.save(tmp_path / 'insta/motion_all.npy', motion)
    np.save(tmp_path / 'insta/id_all.npy', np.repeat([4, 9], [81, 30]))
    main(['instavariety', str(tmp_path / 'insta'), str(tmp_path / 'b.pkl')])
    dataset = DATASETS.build(dict(second, ann_file=str(tmp_path / 'b.pkl')))
    assert len(dataset) == 1
    np.random.seed(0)
    found = dataset[0]['inputs']['keypoints'][0].movedim(0, 1)
    np.random.seed(0)
    half = np.random.uniform(.25, 1)  # the box is all of [-1, 1], to a few thousandths
    low, high = motion[:81, :, :2].min((0, 1)), motion[:81, :, :2].max((0, 1))
    half *= (high - low).max() / 2
    expected = ((motion[:81, :, :2] - (low + high) / 2) / half).clip(-1, 1)
    expected[3, 2] = 0
    np.testing.assert_allclose(found[..., :2], expected, atol=2e-5)
    assert not found[3, 2].any()


def test_labeled_tracks_refuse_files_without_labels(tmp_path):
    rng = np.random.default_rng(0)
    dump_annotations(dict(split={}, annotations=[dict(
        frame_dir='a', label=0, img_shape=(9, 9), total_frames=4,
        keypoint=rng.uniform(1, 8, (1, 4, 17, 2)).astype(np.float32),
        keypoint_score=np.ones((1, 4, 17), np.float32))]), tmp_path / 'a.pkl')
    options = dict(layout='h36m17', to_layout='h36m17', seg_len=4, min_len=4)
    assert len(LabeledTrackDataset(str(tmp_path / 'a.pkl'), min_joints=14.9, **options)) == 1
    with pytest.raises(AnnotationError, match='none of 1 windows has a pelvis in its first 4 '
                       'frames, and more than 15 joints a frame'):
        LabeledTrackDataset(str(tmp_path / 'a.pkl'), min_joints=15, **options)


# ---- baselines ---------------------------------------------------------------------------------


def test_lifting_baselines_fit_linear_labels(tools):
    tool = tools('lifting_baselines')
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4, 17, 2))
    x -= x[:, :, :1]
    # depth is a linear map of the window that commutes with mirroring
    weight = rng.normal(size=(4 * 17, 4 * 17))
    flip = np.arange(68).reshape(4, 17)[:, tool.LAYOUT.flip_index].ravel()
    weight = weight + weight[flip][:, flip]
    depth = (x[..., 1].reshape(300, -1) @ weight).reshape(300, 4, 17)
    label = np.concatenate([x, depth[..., None]], -1)
    window, = tool.linear(x[:200], label[:200], [1e-6])
    np.testing.assert_allclose(window(x[200:]), label[200:], atol=1e-3)
    frame = tool.by_frame(tool.linear(tool.frames(x[:200]), tool.frames(label[:200]), [1e-6])[0])
    assert np.abs(frame(x[200:]) - label[200:]).mean() > 1  # a single frame is not enough
    noisy = label + rng.normal(size=label.shape) * 20
    assert tool.select(x, label, (1e-6, 1e6)) == 1e-6
    assert tool.select(x[:50], noisy[:50], (1e-6, 1e6)) == 1e6  # fewer windows than inputs
    mean = tool.mean_depth(x, np.concatenate([x, np.full((300, 4, 17, 1), 2.)], -1))
    np.testing.assert_allclose(mean(x)[..., :2], x)
    assert np.ptp(mean(x)[..., 2] / tool.size(x)[..., 0]) < 1e-6


def test_lifting_baselines_print_their_table(tools, bandai, tmp_path, capsys):
    tools('prepare_mocap').main(['bandai', str(bandai), str(tmp_path)])
    capsys.readouterr()
    tools('lifting_baselines').main([str(tmp_path / 'bandai_h36m.pkl'), '--clip-len', '6'])
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split('|')[1].strip(): line.split('|')[2:7] for line in lines if '.' in line}
    favored = ', penalty selected on this split'
    assert rows.keys() == {'mean depth', *(f'linear, {window}{suffix}' for window in (
        'one frame', '6 frames') for suffix in ('', favored))}
    assert float(rows['linear, one frame'][0]) >= float(rows['linear, one frame' + favored][0])
    assert float(rows['mean depth'][0]) > float(rows['linear, one frame' + favored][0]) > 0
