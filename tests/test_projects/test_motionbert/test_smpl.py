"""SMPL: safe reading of files, and skinning against the formula."""

import os
import pickle
import sys

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.spatial.transform import Rotation

from mofm.annotations import AnnotationError
from projects.motionbert.mesh.body_model import SMPL
from projects.motionbert.mesh.rotations import flip_axis_angle
from projects.motionbert.mesh.smpl_files import read_joint_regressor, read_mean_params, read_smpl
from tests.limited import run_limited
from tests.test_projects.test_motionbert.smpl_stand_in import (
    PARENTS,
    PARTNER,
    make_fields,
    write_official,
    write_smpl,
)


@pytest.fixture
def smplx():
    return pytest.importorskip('smplx')


def skin(fields, rotations, betas):
    """Compute linear blend skinning in float64, vertex by vertex (SMPL, eq. 2-4 and 8-9)."""
    shaped = fields['v_template'] + fields['shapedirs'] @ betas
    rest = fields['J_regressor'] @ shaped
    posed = shaped + fields['posedirs'] @ (rotations[1:] - np.eye(3)).ravel()
    world, origin = [], []
    for j, parent in enumerate(PARENTS):
        if parent < 0:
            world.append(rotations[j])
            origin.append(rest[j])
        else:
            world.append(world[parent] @ rotations[j])
            origin.append(origin[parent] + world[parent] @ (rest[j] - rest[parent]))
    return np.array([
        sum(w * (world[j] @ (v - rest[j]) + origin[j]) for j, w in enumerate(weights))
        for v, weights in zip(posed, fields['weights'], strict=True)])


def random_bodies(n, seed=0):
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(24 * n, random_state=seed).as_matrix().reshape(n, 24, 3, 3)
    return rotations, rng.standard_normal((n, 10))


def build(files):
    return SMPL(files['model_path'], files['joint_regressor'])


@pytest.mark.parametrize('kind', ['.npz', '.pkl', 'official.pkl'])
def test_smpl_mesh_equals_linear_blend_skinning(kind, tmp_path, smplx):
    model = build(write_smpl(tmp_path, kind))
    fields, regressor, _ = make_fields()
    rotations, betas = random_bodies(4)
    expected = 1000 * np.stack([skin(fields, r, b) for r, b in zip(rotations, betas, strict=True)])
    mesh = model(torch.tensor(rotations).float().unflatten(0, (2, 2)),
                 torch.tensor(betas).float().unflatten(0, (2, 2)))
    assert mesh.vertices.shape == (2, 2, 64, 3)
    assert mesh.joints.shape == (2, 2, 17, 3)
    np.testing.assert_allclose(mesh.vertices.flatten(0, 1), expected, atol=2e-2, rtol=1e-5)
    np.testing.assert_allclose(mesh.joints.flatten(0, 1), regressor @ expected, atol=2e-2)
    assert not model.state_dict()
    assert not list(model.parameters())


def test_smpl_parameters_and_matrices_give_the_same_body(tmp_path, smplx):
    model = build(write_smpl(tmp_path))
    rotations, betas = random_bodies(3, seed=1)
    pose = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec().reshape(3, 72)
    theta = torch.tensor(np.concatenate([pose, betas], 1)).float()
    mesh = model.from_theta(theta)
    torch.testing.assert_close(mesh.rotations, torch.tensor(rotations).float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(mesh.theta, theta, atol=1e-4, rtol=0)
    assert mesh.local_joints[:, 0].abs().max() == 0


def test_smpl_flipped_pose_gives_mirrored_mesh(tmp_path, smplx):
    model = build(write_smpl(tmp_path))
    mirror = make_fields()[2]
    torch.manual_seed(0)
    pose, betas = torch.randn(2, 24, 3), torch.randn(2, 10)
    mesh, flipped = (model.from_theta(torch.cat([p.flatten(1), betas], 1))
                     for p in (pose, flip_axis_angle(pose)))
    expected = mesh.vertices[:, mirror] * torch.tensor([-1., 1, 1])
    torch.testing.assert_close(flipped.vertices, expected, atol=0.05, rtol=1e-4)


def test_smpl_keeps_ten_shapes(tmp_path):
    fields, _, _ = make_fields(8)
    fields['shapedirs'] = np.random.default_rng(0).standard_normal((8, 3, 300))
    np.savez(tmp_path / 'smpl.npz', **fields)
    found = read_smpl(tmp_path / 'smpl.npz')['shapedirs']
    np.testing.assert_allclose(found, fields['shapedirs'][..., :10], rtol=1e-6)


def test_smpl_names_missing_package(tmp_path, monkeypatch):
    files = write_smpl(tmp_path)
    monkeypatch.setitem(sys.modules, 'smplx', None)
    monkeypatch.setitem(sys.modules, 'smplx.lbs', None)
    with pytest.raises(ImportError, match='pip install smplx'):
        build(files)


@pytest.mark.parametrize(('read', 'field', 'origin'), [
    (read_smpl, 'model_path', r'SMPL_NEUTRAL\.pkl.*smplify\.is\.tue\.mpg\.de'),
    (lambda path: read_joint_regressor(path, 64), 'joint_regressor',
     r'J_regressor_h36m_correct\.npy.*MotionBERT'),
    (read_mean_params, 'mean_params', r'smpl_mean_params\.npz.*SPIN')])
def test_smpl_names_origin_of_missing_files(read, field, origin, tmp_path):
    with pytest.raises(AnnotationError, match=f'nowhere: no such file; {field} expects.*{origin}'):
        read(tmp_path / 'nowhere')


class Call:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_smpl_refuses_hostile_pickles(tmp_path):
    marker = tmp_path / 'ran'
    fields, _, _ = make_fields(8)
    path = tmp_path / 'smpl.pkl'
    for value in (Call(os.system, f'touch {marker}'), Call(eval, f'open({str(marker)!r}, "w")'),
                  Call(sparse.csr_matrix, (3, 3)), Call(np.ndarray, (3, ))):
        path.write_bytes(pickle.dumps(dict(fields, weights=value)))
        with pytest.raises(AnnotationError, match=r'smpl\.pkl: refused'):
            read_smpl(path)
    # protocol 0 creates objects by a function, which must be limited to known classes
    path.write_bytes(b'ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\n'
                     b'Ntp0\nR.')
    with pytest.raises(AnnotationError, match='refused to create an object'):
        read_smpl(path)
    assert not marker.exists()


def chumpy_pickle(levels):
    """Selections from selections, each of which is used twice."""
    ch, select = b'cchumpy.ch\nCh\n)\x81', b'cchumpy.reordering\nSelect\n)\x81'
    value = ch + b'}X\1\0\0\0xK\1sb'
    for i in range(levels):
        value = (value + b'r' + i.to_bytes(4, 'little') + b'0' + select + b'}(X\1\0\0\0a'
                 + b'j' + i.to_bytes(4, 'little') + b'X\4\0\0\0idxs' + b'j'
                 + i.to_bytes(4, 'little') + b'X\x0f\0\0\0preferred_shapeK\1ub')
    return b'\x80\2}X\x0a\0\0\0v_template' + value + b's.'


@pytest.mark.parametrize('content', [
    chumpy_pickle(60), chumpy_pickle(2000),
    # a sparse matrix of 8 TB
    pickle.dumps(dict(v_template=sparse.csc_matrix((10**6, 10**6))), 2),
], ids=['shared', 'deep', 'large'])
def test_smpl_refuses_small_files_that_fill_memory(tmp_path, content):
    path = tmp_path / 'SMPL_NEUTRAL.pkl'
    path.write_bytes(content)
    outcome = run_limited(read_smpl, str(path), memory=2**28, seconds=10)
    assert isinstance(outcome.error, AnnotationError), outcome
    assert 'more than the limit' in str(outcome.error)


@pytest.mark.parametrize('value', [
    b'cscipy.sparse\ncsc_matrix\n)\x81}X\6\0\0\0_shape(]K\1aJ\0\0\0\x40tsb',  # a list of 8 GB
    b'cscipy.sparse\ncsc_matrix\n)\x81}X\6\0\0\0_shape(X\1\0\0\0aJ\0\0\0\x70tsb',  # a text
    # texts, of which an array has the longest one many times
    pickle.dumps(['a'] * 10**5 + ['a' * 10**6], 2)[2:-1]], ids=['list', 'text', 'texts'])
def test_smpl_refuses_numbers_that_are_none(tmp_path, value):
    path = tmp_path / 'SMPL_NEUTRAL.pkl'
    path.write_bytes(b'\x80\2}X\x0a\0\0\0v_template' + value + b's.')
    outcome = run_limited(read_smpl, str(path), memory=2**28, seconds=10)
    assert isinstance(outcome.error, AnnotationError), outcome
    assert 'v_template: found ' in str(outcome.error)
    assert 'MemoryError' not in str(outcome.error)


def test_smpl_refuses_sparse_matrix_with_bad_indices(tmp_path):
    fields, _, _ = make_fields(8)
    for name, values in (('indices', [10**6]), ('indptr', [0, 10**6])):
        matrix = sparse.csc_matrix(fields['J_regressor'])
        getattr(matrix, name)[-len(values):] = values
        path = tmp_path / 'smpl.pkl'
        path.write_bytes(pickle.dumps(dict(fields, J_regressor=matrix)))
        with pytest.raises(AnnotationError, match='J_regressor: .* expected an array of numbers'):
            read_smpl(path)


@pytest.mark.parametrize(('change', 'message'), [
    (dict(weights='heavy'), 'weights: found .*, expected an array of numbers'),
    (dict(weights=np.ones((8, 23))), r'weights: found shape \(8, 23\), expected \(8, 24\)'),
    (dict(v_template=np.full((8, 3), np.nan)), 'v_template: found NaN or infinite values'),
    (dict(shapedirs=np.zeros((8, 3, 9))), 'shapedirs: found 9 shapes, expected at least 10'),
    (dict(kintree_table=np.tile(np.arange(24), (2, 1))), 'kintree_table: found parents')])
def test_smpl_names_bad_fields(change, message, tmp_path):
    fields = dict(make_fields(8)[0], **change)
    path = tmp_path / 'smpl.pkl'
    path.write_bytes(pickle.dumps(fields))
    with pytest.raises(AnnotationError, match=message):
        read_smpl(path)


def test_smpl_names_missing_fields(tmp_path):
    np.savez(tmp_path / 'smpl.npz', vertices=np.zeros((8, 3)))
    with pytest.raises(AnnotationError, match=r"v_template: found none among .*'vertices'"):
        read_smpl(tmp_path / 'smpl.npz')


def test_smpl_names_truncated_file(tmp_path):
    for kind in ('.npz', 'official.pkl'):
        path = tmp_path / f'SMPL_NEUTRAL{kind}'
        write_smpl(tmp_path, kind, vertices=8)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(AnnotationError, match='cannot be read, it may be truncated'):
            read_smpl(path)


def test_smpl_regressor_must_fit_the_mesh(tmp_path):
    files = write_smpl(tmp_path, vertices=8)
    with pytest.raises(AnnotationError, match=r'found shape \(17, 8\), expected \(17, 6890\)'):
        read_joint_regressor(files['joint_regressor'], 6890)


def test_smpl_test_file_has_objects_of_the_official_one(tmp_path):
    """Ensures that the tests above read the structure of the official file."""
    write_official(tmp_path / 'smpl.pkl', make_fields(8)[0])
    raw = (tmp_path / 'smpl.pkl').read_bytes()
    for name in (b'cchumpy.ch\nCh', b'cchumpy.reordering\nSelect', b'csc_matrix'):
        assert name in raw
    assert b'_codecs' not in raw
    assert raw[1] == 2
    assert PARTNER[1] == 2
