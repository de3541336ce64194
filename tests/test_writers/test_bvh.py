"""Written BVH files, read back by the reader's parser and forward kinematics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mofm.sources.mocap.bvh import forward_kinematics, parse_hierarchy
from mofm.structures import LAYOUTS, convert, get_layout
from mofm.writers import write_bvh

H36M = LAYOUTS['h36m17']  # its edges are bones from the pelvis outwards


def channels(path):
    """Values of all channels, a row a frame."""
    return np.loadtxt(path.read_text().split('Frame Time')[1].splitlines()[1:], ndmin=2)


def read(path):
    """Positions by joint name, names and parents, and seconds between two frames."""
    head, tail = path.read_text().split('MOTION\n')
    frames, time, *_ = tail.splitlines()
    skeleton, values = parse_hierarchy(head), channels(path)
    assert frames == f'Frames: {len(values)}'
    joints = forward_kinematics(skeleton, values)
    return dict(zip(skeleton.names, joints.swapaxes(0, 1),
                    strict=True)), skeleton, float(time.split(':')[1])


def skeleton_in_motion(frames, seed, stretch=0):
    """Bones in random directions, of lengths that vary by a share."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((frames, 17, 3))
    joints[:, 0] = rng.normal(size=(frames, 3)) * 300
    for parent, joint in H36M.edges:
        length = rng.uniform(20, 80) * rng.uniform(1 - stretch, 1 + stretch, (frames, 1))
        direction = rng.normal(size=(frames, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        joints[:, joint] = joints[:, parent] + length * direction
    return joints


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(1, 20))
def test_bvh_writer_round_trips_constant_bones(tmp_path_factory, seed, frames):
    joints = skeleton_in_motion(frames, seed)
    path = tmp_path_factory.mktemp('bvh') / 'a.bvh'
    write_bvh(path, joints, 'h36m17', 25)
    found, skeleton, seconds = read(path)
    assert seconds == pytest.approx(1 / 25)
    for j, name in enumerate(H36M.joints):
        np.testing.assert_allclose(found[name], joints[:, j], rtol=0, atol=1e-3)
    assert skeleton.names[0] == 'pelvis'
    assert [len(c) for c in skeleton.channels if c][0] == 6
    assert {len(c) for c in skeleton.channels[1:]} == {3, 0}
    ends = {name for name, c in zip(skeleton.names, skeleton.channels, strict=True) if not c}
    assert ends == {f'{name}_End' for name in ('right_ankle', 'left_ankle', 'head', 'left_wrist',
                                               'right_wrist')}


def test_bvh_writer_keeps_directions_of_stretched_bones(tmp_path):
    joints = skeleton_in_motion(30, 0, stretch=.4)
    write_bvh(tmp_path / 'a.bvh', joints, H36M, 30)
    found, _, _ = read(tmp_path / 'a.bvh')
    np.testing.assert_allclose(found['pelvis'], joints[:, 0], atol=1e-5)
    for a, b in H36M.edges:
        true = joints[:, b] - joints[:, a]
        length = np.linalg.norm(true, axis=1, keepdims=True)
        bone = found[H36M.joints[b]] - found[H36M.joints[a]]
        np.testing.assert_allclose(bone, true / length * np.median(length), atol=1e-3)


@pytest.mark.parametrize(('missing', 'bones'), [
    ((0, 1, 2, 3), ['left_hip left_knee', 'left_hip spine', 'neck left_shoulder']),
    ((8, 12), ['spine nose', 'spine left_shoulder', 'left_shoulder left_wrist'])])
def test_bvh_writer_leaves_out_unknown_joints(tmp_path, missing, bones):
    """Bones bridge unknown joints, and the first known joint is the root."""
    joints = skeleton_in_motion(9, 1, stretch=.4)
    joints[:, missing] = np.nan
    write_bvh(tmp_path / 'a.bvh', joints, H36M, 30)
    found, _, _ = read(tmp_path / 'a.bvh')
    assert not {H36M.joints[j] for j in missing} & {*found}
    for pair in bones:
        a, b = (H36M.joints.index(name) for name in pair.split())
        true = joints[:, b] - joints[:, a]
        length = np.linalg.norm(true, axis=1, keepdims=True)
        bone = found[H36M.joints[b]] - found[H36M.joints[a]]
        np.testing.assert_allclose(bone, true / length * np.median(length), atol=1e-3)


@pytest.mark.parametrize('name', sorted(LAYOUTS))
def test_bvh_writer_makes_a_tree_of_every_layout(tmp_path, name):
    layout = get_layout(name)
    joints = np.random.default_rng(0).normal(size=(3, layout.num_joints, 3))
    write_bvh(tmp_path / 'a.bvh', joints, layout, 30)
    found, skeleton, _ = read(tmp_path / 'a.bvh')
    assert set(layout.joints) <= set(skeleton.names)
    assert skeleton.names[0] == layout.joints[0]
    assert len(set(skeleton.names)) == len(skeleton.names)


def test_bvh_writer_rotates_rest_pose_and_reversed_bone(tmp_path):
    """The body as a whole is the root's turn; a bone that points the other way is half a turn."""
    rest = dict(right_hip=(-1, 0, 0), right_knee=(0, -4, 0), right_ankle=(0, -4, 0),
                left_hip=(1, 0, 0), left_knee=(0, -4, 0), left_ankle=(0, -4, 0), spine=(0, 2, 0),
                neck=(0, 2, 0), nose=(0, 1, 0), head=(0, 1, 0), left_shoulder=(1.5, 0, 0),
                left_elbow=(3, 0, 0), left_wrist=(3, 0, 0), right_shoulder=(-1.5, 0, 0),
                right_elbow=(-3, 0, 0), right_wrist=(-3, 0, 0))
    turn = Rotation.from_euler('ZXY', [(0, 0, 0), (20, -30, 100)], degrees=True)
    joints = np.zeros((3, 17, 3))
    for a, b in H36M.edges:
        joints[0, b] = joints[0, a] + rest[H36M.joints[b]]
    joints[1], joints[2] = turn[1].apply(joints[0]), joints[0]
    joints[2, 13] = joints[2, 12] - rest['left_wrist']  # back along the arm
    joints[2, 10] = joints[2, 9]  # no length at all
    write_bvh(tmp_path / 'a.bvh', joints, H36M, 30)
    found, skeleton, _ = read(tmp_path / 'a.bvh')
    offsets = dict(zip(skeleton.names, skeleton.offsets, strict=True))
    for name, offset in rest.items():
        np.testing.assert_allclose(offsets[name], offset, atol=1e-6)
    rows = channels(tmp_path / 'a.bvh')
    np.testing.assert_allclose(rows[0], 0, atol=1e-5)
    np.testing.assert_allclose(rows[1, :6], (0, 0, 0, 20, -30, 100), atol=1e-4)
    np.testing.assert_allclose(rows[1, 6:], 0, atol=1e-4)
    np.testing.assert_allclose(found['left_wrist'][2], joints[2, 13], atol=1e-4)


def test_bvh_writer_spins_without_jumps(tmp_path):
    """Who spins twice has a curve without jumps."""
    angle = np.linspace(0, 720, 40)
    joints = skeleton_in_motion(1, 3)
    joints = np.stack([Rotation.from_euler('Y', a, degrees=True).apply(joints[0]) for a in angle])
    write_bvh(tmp_path / 'a.bvh', joints, H36M, 30)
    yaw = channels(tmp_path / 'a.bvh')[:, 5]
    assert np.abs(np.diff(yaw)).max() < 180
    assert abs(yaw[-1] - yaw[0]) == pytest.approx(720)


def test_bvh_writer_keeps_real_motion(tmp_path, real_data):
    """Bones of motion capture hardly change their length."""
    with np.load(real_data('bandai_namco_15fps.npz')) as arrays:
        xyz = arrays['xyz'][:200].astype(np.float64) * 100  # cm
    joints = convert(xyz, None, 'bandai22', 'h36m17')[0]
    write_bvh(tmp_path / 'a.bvh', joints, 'h36m17', 15)
    found, _, _ = read(tmp_path / 'a.bvh')
    error = [np.abs(found[name] - joints[:, j]).max() for j, name in enumerate(H36M.joints)]
    assert max(error) < 1  # float16 meters


@pytest.mark.parametrize(('joints', 'fps', 'words'), [
    (np.zeros((4, 16, 3)), 30, r'shape \(4, 16, 3\), expected \(T, 17, 3\) for layout'),
    (np.zeros((0, 17, 3)), 30, 'shape'), (np.full((4, 17, 3), np.nan), 30, 'NaN or infinite'),
    (np.where(np.arange(4)[:, None, None] == 1, np.nan, np.ones((4, 17, 3))), 30, 'NaN'),
    (np.zeros((4, 17, 3)), 0, 'fps=0')])
def test_bvh_writer_refuses_bad_joints(tmp_path, joints, fps, words):
    with pytest.raises(ValueError, match=f'a.bvh: found .*{words}'):
        write_bvh(tmp_path / 'a.bvh', joints, 'h36m17', fps)
    assert not list(tmp_path.iterdir())
