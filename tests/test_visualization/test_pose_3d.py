"""3D pictures of poses."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import proj3d
from PIL import Image

from mofm.structures import LAYOUTS
from mofm.visualization import animate_clip_3d, draw_clip_3d, save_animation
from mofm.visualization.pose import LEFT, RIGHT
from mofm.visualization.pose_3d import ClipPanel3D

H36M = LAYOUTS['h36m17']


def clip_of(joints):
    return dict(keypoint=joints[..., :2], keypoint_score=np.ones(joints.shape[:3]))


@pytest.fixture
def joints():
    """Other poses in every frame, of one size."""
    joints = np.random.default_rng(0).uniform(-100, 100, (2, 9, 17, 3))
    start, end = np.array(H36M.edges).T
    bones = np.linalg.norm(joints[:, :, start] - joints[:, :, end], axis=-1)  # (2, 9, E)
    return joints / bones.mean(-1)[..., None, None] * 100 + (900, 500, 0)


def panel_of(joints):
    axis = Figure().add_subplot(projection='3d')
    return axis, ClipPanel3D(axis, joints, 'h36m17')


def on_screen(axis, points):
    """(N, 2) right and up."""
    return np.stack(proj3d.proj_transform(*points.T, axis.get_proj())[:2], -1)


def test_pose_3d_seen_from_the_camera_equals_the_image(joints):
    """Right is right, down is down, and the far is smaller; root and scale of both persons."""
    axis, panel = panel_of(joints)
    panel.show(3 / 8, azimuth=-90)
    segments = np.array(panel._lines._segments3d).reshape(2, 16, 2, 3)
    axis.view_init(0, -90)
    axis.set_proj_type('ortho')
    for person, mine in enumerate(joints[:, 3]):
        ends = segments[person][:, 1] - segments[person, 0, 0]
        child = [b for _, b in H36M.edges]
        np.testing.assert_allclose(ends, (mine[child] - mine[0])[:, [0, 2, 1]] * (1, 1, -1),
                                   rtol=1e-4, atol=1e-3)
        screen = on_screen(axis, segments[person][:, 1])
        image = mine[child][:, :2] * (1, -1)
        screen, image = screen - screen[0], image - image[0]
        scale = (screen * image).sum() / (image * image).sum()
        assert scale > 0
        np.testing.assert_allclose(screen, scale * image, atol=1e-3 * np.abs(screen).max())
    np.testing.assert_allclose(*(on_screen(axis, s[0, :1])[:, 1] for s in segments), atol=1e-6)


def test_pose_3d_of_leaving_person_does_not_shrink(joints):
    distance = np.linspace(.5, 2, 9)[:, None, None]
    (_, far), (_, near) = panel_of(joints / distance), panel_of(joints)
    np.testing.assert_allclose(far._bones[0], near._bones[0] * (1 / distance).mean(), rtol=1e-4,
                               atol=1e-3)


def test_pose_3d_colors_sides_at_one_scale(joints):
    axis, panel = panel_of(joints)
    colors = panel._lines.get_color()[:16]
    bone = {pair: tuple(color) for pair, color in zip(H36M.edges, colors, strict=True)}
    assert bone[4, 5] == to_rgba(LEFT)
    assert bone[1, 2] == to_rgba(RIGHT)
    limits = np.ptp([axis.get_xlim(), axis.get_ylim(), axis.get_zlim()], axis=1)
    np.testing.assert_allclose(axis._box_aspect / limits, axis._box_aspect[0] / limits[0])
    points = panel._bones.reshape(-1, 3)
    for get, column in zip((axis.get_xlim, axis.get_ylim, axis.get_zlim), points.T, strict=True):
        assert get()[0] <= column.min() + 1e-3
        assert column.max() - 1e-3 <= get()[1]


def test_pose_3d_strip_and_animation_are_written(joints, tmp_path):
    """With and without the keypoints; nobody in some frames, or in all."""
    clip = clip_of(joints.copy())
    joints[1] = np.nan
    joints[0, 4:6] = np.nan
    assert len(draw_clip_3d(joints, 'h36m17', clip, 3).axes) == 6
    figure = draw_clip_3d(joints[:, 3:6], H36M, num=8)
    assert [axis.get_title() for axis in figure.axes] == ['frame 0', 'frame 1', 'frame 2']
    figure.savefig(tmp_path / 'a.png', dpi=20)
    save_animation(animate_clip_3d(joints, 'h36m17', clip, 3), tmp_path / 'a.gif')
    with Image.open(tmp_path / 'a.gif') as image:
        assert image.n_frames == 3
        assert image.size[0] > 1.5 * image.size[1]


def test_pose_3d_refuses_other_joints():
    with pytest.raises(ValueError, match=r'\(1, 2, 16, 3\): expected \(M, T, 17, 3\)'):
        draw_clip_3d(np.zeros((1, 2, 16, 3)), 'h36m17')
