"""Mesh recovery in the inferencer and the demo, with a small body model."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mofm.annotations import dump_annotations
from mofm.apis import MotionInferencer
from mofm.pose_estimation import PoseEstimator
from projects.motionbert.mesh import MeshResult
from tests.test_projects.test_motionbert.smpl_stand_in import write_smpl

pytest.importorskip('smplx')
ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / 'projects/motionbert/configs/mesh_wild.py'
QUIET = dict(progress=False)
VERTICES = 64


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """Write a config with a small backbone and the substitute files."""
    folder = tmp_path_factory.mktemp('smpl')
    files = write_smpl(folder)
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict({
        'model.backbone': dict(embed_dims=32, rep_dims=32, depth=1, num_heads=4, init_cfg=None),
        'model.head': dict(in_channels=32, hidden_dims=32, mean_params=files['mean_params']),
        'model.body_model': {k: files[k] for k in ('model_path', 'joint_regressor')}})
    cfg.dump(folder / 'mesh.py')
    return folder / 'mesh.py'


@pytest.fixture
def inferencer(config):
    torch.manual_seed(0)
    found = MotionInferencer(config, device='cpu')
    for layer in (found.model.head.head_pose, found.model.head.head_shape):
        torch.nn.init.normal_(layer.weight, std=.3)  # far from the mean body
    return found


def people(persons, frames, seed=0):
    """Create keypoints (M, T, 17, 3) of H36M-17."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(100, 400, (persons, 1, 17, 2)) + rng.normal(
        size=(persons, frames, 17, 2)).cumsum(1)
    return np.concatenate([points, rng.uniform(.2, 1, (persons, frames, 17, 1))], -1)


def recover(model, points):
    """Predict bodies of a window (T, 17, 3), normalized by the bounding box of its person."""
    xy = points[..., :2].reshape(-1, 2)
    low, high = xy.min(0), xy.max(0)
    unit = (points[..., :2] - (low + high) / 2) / ((high - low).max() / 2)
    inputs = np.concatenate([unit, points[..., 2:]], -1).astype(np.float32)
    return [x[0, 0].numpy() for x in model.recover(torch.from_numpy(inputs)[None, None])]


def test_mesh_inferencer_equals_model_on_windows_of_each_person(inferencer):
    assert inferencer.tasks == ('mesh', )
    points = people(2, 20)
    result, = inferencer(points, layout='h36m17', **QUIET)
    assert isinstance(result, MeshResult)
    assert result.frames.tolist() == [[0, 15], [4, 19]] * 2
    assert result.vertices.shape == (2, 20, VERTICES, 3)
    assert result.joints.shape == (2, 20, 17, 3)
    assert result.pose.shape == (2, 20, 24, 3)
    assert result.shape.shape == (2, 20, 10)
    for person in range(2):
        for rows in (slice(0, 4), slice(4, 20)):  # the last window of a frame counts
            start = 0 if rows.start == 0 else 4
            theta, vertices, joints = recover(inferencer.model, points[person, start:start + 16])
            inside = slice(rows.start - start, rows.stop - start)
            np.testing.assert_allclose(result.vertices[person, rows], vertices[inside], atol=.5)
            np.testing.assert_allclose(result.joints[person, rows], joints[inside], atol=.5)
            np.testing.assert_allclose(result.pose[person, rows].reshape(-1, 72),
                                       theta[inside, :72], atol=1e-2)
            np.testing.assert_allclose(result.shape[person, rows], theta[inside, 72:], atol=1e-3)
    assert np.ptp(result.vertices[0, :, 0, 0]) > 1
    np.testing.assert_allclose(result.score, points[..., 2], rtol=1e-6)


def test_mesh_result_is_nan_without_person(inferencer):
    points = people(2, 10)
    points[0, 3:5] = 0
    result, = inferencer(points, layout='h36m17', **QUIET)
    gone = np.zeros((2, 10), bool)
    gone[0, 3:5] = True
    for values in (result.joints, result.vertices, result.pose, result.shape):
        np.testing.assert_array_equal(np.isnan(values).reshape(2, 10, -1).any(2), gone)
    assert [row['frames'] for row in result.rows()] == [8, 10]


def test_mesh_result_is_saved(inferencer, tmp_path):
    result, = inferencer(people(1, 4), layout='h36m17', fps=25, **QUIET)
    result.save(tmp_path / 'a.npz')
    with np.load(tmp_path / 'a.npz') as arrays:
        assert str(arrays['task']) == 'mesh'
        np.testing.assert_array_equal(arrays['vertices'], result.vertices)
    result.save(tmp_path / 'a.json')
    data = json.loads((tmp_path / 'a.json').read_text())
    np.testing.assert_allclose(data['pose'], result.pose)
    assert (data['layout'], data['fps']) == ('h36m17', 25)


def test_mesh_result_is_a_sequence_of_obj_files(inferencer, tmp_path):
    points = people(2, 4)
    points[0, 1] = 0
    result, = inferencer(points, layout='h36m17', **QUIET)
    files = result.save(tmp_path / 'a.obj')
    assert [file.name for file in files] == [
        'a+0_000000.obj', 'a+0_000002.obj', 'a+0_000003.obj',
        *(f'a+1_{row:06d}.obj' for row in range(4))]
    lines = [line.split() for line in files[1].read_text().splitlines()]
    vertices = np.array([line[1:] for line in lines if line[0] == 'v'], float)
    np.testing.assert_allclose(vertices * (1000, -1000, -1000), result.vertices[0, 2], atol=.06)
    faces = np.array([line[1:] for line in lines if line[0] == 'f'], int)
    np.testing.assert_array_equal(faces - 1, inferencer.model.body_model.faces)
    assert len(lines) == len(vertices) + len(faces)


class Walker(PoseEstimator):
    """The same person in every frame, a little further to the right each time."""

    frame = 0

    def estimate(self, image, boxes=None):
        self.frame += 1
        rng = np.random.default_rng(0)
        return rng.uniform(5, 40, (1, 17, 2)) + (self.frame, 0), np.ones((1, 17))


def test_mesh_of_a_video_with_the_body_model_of_the_user(config, tmp_path):
    """The files of SMPL by options of the config as it is in the repository."""
    cfg = Config.fromfile(config)
    small = {f'model.{part}': dict(cfg.model[part]) for part in ('backbone', 'head', 'body_model')}
    inferencer = MotionInferencer(CONFIG, device='cpu', cfg_options=small)
    writer = cv2.VideoWriter(str(tmp_path / 'walk.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10,
                             (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    result, = inferencer(tmp_path / 'walk.avi', pose_extractor=Walker(), **QUIET)
    assert (result.name, result.fps) == ('walk.avi', 10)
    assert result.vertices.shape == (1, 5, VERTICES, 3)
    assert np.isfinite(result.vertices).all()
    assert set(inferencer.task().draw(result)) == {'.png'}


def test_mesh_demo_draws_bodies(inferencer, config, tmp_path, capsys):
    points = people(2, 5)
    dump_annotations(dict(split={}, annotations=[dict(
        frame_dir='pair', label=0, img_shape=(480, 640), total_frames=5,
        keypoint=points[..., :2].astype(np.float32),
        keypoint_score=points[..., 2].astype(np.float32))]), tmp_path / 'pair.pkl')
    torch.save(inferencer.model.state_dict(), tmp_path / 'model.pth')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [
            'demo.py', str(tmp_path / 'pair.pkl'), '--layout', 'h36m17', '--config', str(config),
            '--checkpoint', str(tmp_path / 'model.pth'), '--out', str(tmp_path / 'out')])
        runpy.run_path(str(ROOT / 'tools/demo.py'), run_name='__main__')
    assert sorted(f.name for f in (tmp_path / 'out').iterdir()) == [
        'index.html', 'pair.npz', 'pair.png', 'table.csv']
    assert f'pair: 2 persons, 5 frames, {VERTICES} vertices' in capsys.readouterr().out
    with Image.open(tmp_path / 'out/pair.png') as image:
        pixels = np.asarray(image.convert('RGB')).astype(int)
    lower = pixels[len(pixels) // 2:]
    blue = (lower[..., 2] - lower[..., 0] > 20).sum()
    assert blue > 2000  # triangles, not only lines


def test_mesh_inferencer_without_files_names_file_and_origin():
    with pytest.raises(ValueError, match=r'smpl_mean_params.npz: no such file; mean_params '
                       'expects smpl_mean_params.npz of SPIN, from .*https://'):
        MotionInferencer(CONFIG, device='cpu')
