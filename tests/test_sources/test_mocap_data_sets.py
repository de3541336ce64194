"""VideoPose3D, HumanML3D and AMASS, against NumPy's and smplx's own reading of the files."""
import io
import os
import pickle

import numpy as np
import pytest
import torch
from smplx.lbs import lbs

from mofm.annotations import AnnotationError
from mofm.annotations.object_arrays import read_object_npz
from mofm.annotations.unpickling import RefusedPickle
from mofm.sources import AMASS, HumanML3D, VideoPose2D, VideoPose3D
from mofm.structures import LAYOUTS
from mofm.utils.limits import LimitError
from tests.test_sources.native_files import write
from tests.test_sources.native_files.mocap import npy, npz, walk
from tests.test_sources.native_files.mocap_programs import (
    MODELS,
    amass,
    body_model,
    images,
    videopose2d,
    videopose3d,
    z_up,
)

COCO = LAYOUTS['coco17'].joints
LIMBS = list(range(5, 17))


def read(reader, path, content, **kwargs):
    """Recordings of a file, and the notes."""
    path.write_bytes(content)
    source = reader(path, strict=True, **kwargs)
    return list(source.recordings('', content)), ' / '.join(source.notes)


# ----------------------------------------------------------------------------------- VideoPose3D
def test_videopose3d_gives_joints_splits_and_frame_rate(tmp_path):
    """As NumPy unpickles the archive: 32 joints, z up."""
    items, notes = read(VideoPose3D, tmp_path / 'data_3d_h36m.npz', videopose3d())
    assert [(ann['frame_dir'], len(ann['joints']), ann['fps'], splits) for ann, splits in items
            ] == [('data_3d_h36m/S1/Walking 1', 5, 50, ('train', )),
                  ('data_3d_h36m/S9/Sitting', 3, 50, ('test', ))]
    data = np.load(tmp_path / 'data_3d_h36m.npz', allow_pickle=True)['positions_3d'].item()
    index = [LAYOUTS['h36m32'].joints.index(COCO[i]) for i in LIMBS]
    np.testing.assert_allclose(items[0][0]['joints'][:, LIMBS],
                               data['S1']['Walking 1'][:, index][..., [0, 2, 1]] * [1, 1, -1],
                               atol=1e-12)
    np.testing.assert_allclose(items[0][0]['joints'][:, LIMBS], walk(5, 'coco17')[:, LIMBS],
                               atol=1e-6)
    assert notes == ''


@pytest.mark.parametrize(('layout', 'fps'), [('h36m17', 50), ('humaneva15', 60)])
def test_videopose3d_layout_is_that_of_the_number_of_joints(tmp_path, layout, fps):
    data = {'Validate/S1': {'Walking 1': z_up(walk(4, layout)).astype('f4')}}
    ((ann, splits), ), _ = read(VideoPose3D, tmp_path / 'data_3d_a.npz', videopose3d(data))
    assert (ann['fps'], splits) == (fps, ('test', ))
    np.testing.assert_allclose(ann['joints'][:, LIMBS], walk(4, 'coco17')[:, LIMBS], atol=1e-6)


def test_videopose3d_2d_gives_pixels_of_every_camera(tmp_path):
    (tmp_path / 'data_2d_h36m_gt.npz').write_bytes(videopose2d())
    items = {ann['frame_dir']: ann for ann, _ in VideoPose2D(tmp_path, strict=True)}
    assert list(items) == [f'data_2d_h36m_gt/{name}/{camera}' for name in
                           ('S1/Walking', 'S11/Photo 1') for camera in range(4)]
    ann = items['data_2d_h36m_gt/S1/Walking/3']
    assert (ann['img_shape'], ann['fps'], ann['total_frames']) == ((1002, 1000), 50, 5)
    assert items['data_2d_h36m_gt/S1/Walking/1']['img_shape'] == (1000, 1000)
    expected = images(5, 'coco17') + 3
    np.testing.assert_allclose(ann['keypoint'][0][:, [0, *LIMBS]], expected[:, [0, *LIMBS]],
                               atol=.5)
    assert not ann['keypoint_score'][..., 1:5].any()


def test_videopose3d_2d_layout_and_size_are_those_of_the_metadata(tmp_path):
    (tmp_path / 'data_2d_custom_mine.npz').write_bytes(videopose3d(
        {'a.mp4': {'custom': [images(5, 'coco17')]}}, 'positions_2d', metadata=dict(
            layout_name='coco', video_metadata={'a.mp4': dict(w=1920, h=1080)})))
    (ann, _), = VideoPose2D(tmp_path, strict=True)
    assert (ann['frame_dir'], ann['img_shape']) == ('data_2d_custom_mine/a.mp4/custom/0',
                                                    (1080, 1920))
    np.testing.assert_allclose(ann['keypoint'][0], images(5, 'coco17'), atol=.5)


@pytest.mark.parametrize(('content', 'words'), [
    (npz(a=walk()), 'positions_3d: found'), (videopose3d([1]), 'file: found ValueError: objects'),
    (videopose3d({'S1': {}}), 'positions_3d: found'), (b'', 'file: found'),
    (videopose3d({'S1': {'a': walk(3, 'bandai22')}}), r'S1 a: found .*\(3, 22, 3\)'),
    (videopose3d({'S1': {'a': [1, 2]}}), 'S1 a: found'), (videopose3d({1: {2: 3}}), 'positions'),
    (videopose3d({'S1': {'a': z_up(walk(3, 'h36m32')) * 1000}}),
     None)])
def test_videopose3d_names_fault(tmp_path, content, words):
    if words is None:  # the unit of other archives
        items, notes = read(VideoPose3D, tmp_path / 'a.npz', content)
        assert 'a unit of 0.001 m' in notes
        return
    with pytest.raises(AnnotationError, match=f'a.npz: .*{words}'):
        read(VideoPose3D, tmp_path / 'a.npz', content)


# ------------------------------------------------------------------------- pickles in archives
class Run:
    """A pickle of it calls a function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def objects(array):
    """Bytes of an archive with this array of objects."""
    out = io.BytesIO()
    np.savez(out, a=array)
    return io.BytesIO(out.getvalue())


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_object_npz_holds_what_numpy_reads(protocol, monkeypatch):
    """Dicts of arrays, lists and texts, whatever the protocol of the writer."""
    dump = pickle.dump
    monkeypatch.setattr(pickle, 'dump', lambda obj, file, **kwargs: dump(obj, file, protocol))
    value = {'S1': {'Walk ü': np.arange(6, dtype='f4').reshape(1, 2, 3), 'list': [
        np.ones((2, 3), 'f8', order='F'), np.int64(3), None, True, 'x']}, 'empty': {}}
    file = objects(np.array(value, dtype=object))
    found = read_object_npz(file)['a']
    file.seek(0)
    assert repr(found) == repr(np.load(file, allow_pickle=True)['a'].item()) == repr(value)


def test_object_npz_runs_no_code_and_refuses_other_arrays(tmp_path):
    for call in (Run(os.mkdir, str(tmp_path / 'run')), {'a': Run(eval, '1')}):
        with pytest.raises((RefusedPickle, ValueError), match='refused the class'):
            read_object_npz(objects(np.array(call, dtype=object)))
    assert not (tmp_path / 'run').exists()
    with pytest.raises(ValueError, match=r'objects of shape \(2,\)'):
        read_object_npz(objects(np.array([1, None], dtype=object)))
    inner = np.empty(2, object)
    inner[0] = {}
    with pytest.raises(RefusedPickle, match=r'refused array 1 of objects, of shape \(2,\)'):
        read_object_npz(objects(np.array({'a': inner}, dtype=object)))
    deep = np.array({'a': np.array({}, dtype=object)}, dtype=object)
    with pytest.raises(RefusedPickle, match='refused array [12] of objects'):
        read_object_npz(objects(deep))
    around = np.array({}, dtype=object)
    around.item()['a'] = [around]  # contains itself
    with pytest.raises(RefusedPickle, match='inside of another one'):
        read_object_npz(objects(around))
    for _ in range(100):
        deep = {'a': deep}
    with pytest.raises(LimitError):
        read_object_npz(objects(np.array(deep, dtype=object)))


# ------------------------------------------------------------------------------------- HumanML3D
def test_humanml3d_gives_joints_and_splits(tmp_path):
    """Features, mean and texts beside the joints are left alone."""
    files = {f'HumanML3D/new_joints/00000{i}.npy': npy(walk(3 + i, 'smpl22').astype('f4'))
             for i in range(3)}
    write(tmp_path, {**files, 'HumanML3D/new_joint_vecs/000000.npy': npy(np.zeros((3, 263))),
                     'HumanML3D/Mean.npy': npy(np.zeros(263)), 'HumanML3D/train.txt': b'000000\n',
                     'HumanML3D/test.txt': b'000002', 'HumanML3D/all.txt': b'000000\n000002\n',
                     'HumanML3D/texts/000000.txt': b'a person walks.#a/DET#0.0#0.0\n'})
    for folder, prefix in (('HumanML3D', 'new_joints/'), ('HumanML3D/new_joints', '')):
        items = list(HumanML3D(tmp_path / folder, strict=True))
        assert [(ann['frame_dir'], ann['total_frames'], ann['fps'], splits) for ann, splits
                in items] == [(f'{prefix}00000{i}_v0', 3 + i, 20, splits) for i, splits in
                              enumerate([('train', ), (), ('test', )])]
    content = files['HumanML3D/new_joints/000001.npy']
    ((ann, _), ), notes = read(HumanML3D, tmp_path / 'a.npy', content)
    np.testing.assert_allclose(ann['joints'][:, LIMBS], walk(4, 'coco17')[:, LIMBS], atol=1e-6)
    assert notes == ''


@pytest.mark.parametrize('array', [np.zeros((3, 263), 'f4'), walk(3, 'smpl24'),
                                   np.zeros((0, 22, 3)), walk(3, 'smpl22').astype(int)])
def test_humanml3d_names_fault(tmp_path, array):
    with pytest.raises(AnnotationError, match='a.npy: .*new_joint_vecs has features'):
        read(HumanML3D, tmp_path / 'a.npy', npy(array))


# ----------------------------------------------------------------------------------------- AMASS
def joints_of_smplx(model, poses, betas, trans):
    """(T, J, 3) joints of smplx."""
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in model.items()}
    parents = torch.from_numpy(model['kintree_table'][0].astype(np.int64))
    parents[0] = -1
    pose_dirs = tensors['posedirs'].reshape(-1, tensors['posedirs'].shape[-1]).T
    _, joints = lbs(torch.from_numpy(np.tile(betas, (len(poses), 1))), torch.from_numpy(poses),
                    tensors['v_template'], tensors['shapedirs'], pose_dirs,
                    tensors['J_regressor'], parents, tensors['weights'])
    return joints.numpy() + trans[:, None]


@pytest.mark.parametrize('values', [156, 165])
def test_amass_joints_equal_smplx(tmp_path, values):
    """Poses of up to 90 degrees, shape and place; SMPL-H and SMPL-X."""
    rng = np.random.default_rng(3)
    poses = rng.uniform(-1, 1, (6, values)) * .9
    poses[:, :3] = [np.pi / 2, .1, 0]
    betas, trans = rng.normal(size=16), rng.normal(size=(6, 3))
    content = amass(poses=poses, betas=betas, trans=trans, dmpls=None)
    ((ann, _), ), _ = read(AMASS, tmp_path / 'a_poses.npz', content, body_models=MODELS, up='y')
    joints = joints_of_smplx(body_model(values // 3), poses, betas, trans)
    index = [LAYOUTS['smpl22'].joints.index(COCO[i]) for i in LIMBS]
    np.testing.assert_allclose(ann['joints'][:, LIMBS], joints[:, index], atol=1e-9)


def test_amass_person_stands_with_z_up_and_stated_frame_rate(tmp_path):
    poses = np.zeros((5, 156))
    poses[:, 0] = np.pi / 2
    content = amass(poses=poses, betas=np.zeros(16))
    ((ann, _), ), notes = read(AMASS, tmp_path / 'a_poses.npz', content, body_models=MODELS)
    assert (ann['fps'], notes) == (120, '')
    height = ann['joints'][:, 0, 1] - ann['joints'][:, 15:, 1].mean(1)
    np.testing.assert_allclose(height, 1.5, atol=.01)
    content = amass(gender=np.array(b'male'), mocap_framerate=None, mocap_frame_rate=np.array(60))
    ((ann, _), ), _ = read(AMASS, tmp_path / 'a_poses.npz', content, body_models=MODELS)
    assert ann['fps'] == 60


def test_amass_passes_over_files_of_shapes(tmp_path):
    write(tmp_path, {'KIT/1/walk_poses.npz': amass(), 'KIT/1/shape.npz': npz(betas=np.zeros(16)),
                     'KIT/1/neutral_stagei.npz': npz(a=np.array({}, dtype=object))})
    assert [ann['frame_dir'] for ann, _ in AMASS(tmp_path, MODELS, strict=True)] == [
        'KIT/1/walk_poses_v0']


def test_amass_reads_recordings_with_objects_that_it_does_not_need(tmp_path):
    """SMPL-X recordings hold pickled lists of videos."""
    with np.load(io.BytesIO(amass(values=165))) as data:
        content = npz(**data, markers_latent_vids=np.array({'a': 1}, dtype=object))
    items, _ = read(AMASS, tmp_path / 'a_stageii.npz', content, body_models=MODELS)
    assert len(items) == 1


@pytest.mark.parametrize(('content', 'words'), [
    (amass(poses=np.zeros((5, 150))), 'poses: found shape'), (amass(trans=None), 'trans: found'),
    (amass(trans=np.zeros((4, 3))), 'trans: found'), (amass(gender=np.array('x')), 'gender: fou'),
    (amass(gender=np.array('female')), 'found none of .*smplh/female/model.npz'),
    (amass(values=72), 'found none of .*smpl/male'), (amass(betas=np.array([np.nan])), 'betas'),
    (amass(poses=np.full((5, 156), 1e300)), 'poses: found'), (npz(a=walk()), 'poses: found')])
def test_amass_names_fault(tmp_path, content, words):
    with pytest.raises(AnnotationError, match=words):
        read(AMASS, tmp_path / 'a_poses.npz', content, body_models=MODELS)


@pytest.mark.parametrize('changes', [
    dict(v_template=np.zeros((60, 2))), dict(J_regressor=np.zeros((24, 60))),
    dict(kintree_table=np.full((2, 52), 51)), dict(shapedirs=np.full((60, 3, 16), np.nan))])
def test_amass_names_bad_body_model(tmp_path, changes):
    write(tmp_path, {'SMPLH_MALE.npz': npz(**{**body_model(), **changes})})
    with pytest.raises(AnnotationError, match='SMPLH_MALE.npz: .*a body model of 52 joints'):
        read(AMASS, tmp_path / 'a_poses.npz', amass(), body_models=tmp_path)
    with pytest.raises(ValueError, match='--body-models'):
        AMASS(tmp_path)
