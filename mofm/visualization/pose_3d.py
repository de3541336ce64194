"""3D skeletons as strips of frames and animations, with their 2D keypoints."""

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from mofm.structures import Layout, get_layout

from .animation import ClipPanel, Clock
from .pose import MIDDLE, bone_colors, spaced

# Degrees, slightly from above and from the side to show depth.
_ELEVATION, _AZIMUTH = 12, -60
_FRONT, _SWING = -90, 45
_SIZE = 4.2  # side of a panel in inches of 80 pixels


class ClipPanel3D:
    """3D axes with all persons of a clip at a given time; colors as in `draw_pose_clip`.

    The first joint that most frames of a person have, usually the root, is fixed, and the mean
    bone length of a person is constant, so that persons do not shrink with distance. Persons are
    side by side, with one scale for all axes. The gray floor is at the lowest joint of the clip.

    Args:
        axis (Axes3D): Axes to draw on.
        joints (np.ndarray): (M, T, J, 3), x to the right, y down, z away from the camera. NaN are
            not drawn.
        layout (str or Layout): Joint layout.

    Raises:
        ValueError: If the joints do not match the layout.
    """

    def __init__(self, axis, joints: np.ndarray, layout: str | Layout):
        layout = get_layout(layout) if isinstance(layout, str) else layout
        joints = np.asarray(joints, np.float32)
        if joints.ndim != 4 or joints.shape[2:] != (layout.num_joints, 3):
            raise ValueError(f'joints {joints.shape}: expected (M, T, {layout.num_joints}, 3) for '
                             f'layout {layout.name}')
        persons = len(joints)
        root = np.isfinite(joints).all(-1).sum(1).argmax(-1)  # (M,)
        pose = joints - np.take_along_axis(joints, root[:, None, None, None], 2)
        pose = pose[..., [0, 2, 1]] * (1, 1, -1)
        edges = np.array(layout.edges)  # (E, 2)
        size = np.ma.masked_invalid(  # (M, T, E)
            np.linalg.norm(pose[:, :, edges[:, 0]] - pose[:, :, edges[:, 1]], axis=-1))
        mean = np.ma.masked_where(size.mask, np.broadcast_to(size.mean(1, keepdims=True),
                                                             size.shape))
        pose *= (mean.sum(-1) / size.sum(-1)).filled(1)[..., None, None]  # of the known bones
        reach = max(np.nanmax(np.abs(pose[..., :2]), initial=0), 1)  # horizontal extent
        low, high = (extreme(pose[..., 2], initial=0) for extreme in (np.nanmin, np.nanmax))
        high = max(high, low + reach)
        pose[..., 0] += 2 * reach * np.arange(persons)[:, None, None]
        axis.set(xlim=(-reach, (2 * persons - 1) * reach), ylim=(-reach, reach), zlim=(low, high))
        axis.set_box_aspect((2 * persons * reach, 2 * reach, high - low),
                            zoom=1.1 if persons == 1 else .85)
        axis.set_axis_off()
        axis.computed_zorder = False  # the floor is never in front
        x, y = np.meshgrid(np.linspace(-1, 2 * persons - 1, 4 * persons + 1),
                           np.linspace(-1, 1, 5))
        axis.plot_wireframe(x * reach, y * reach, np.full_like(x, low), color='#D0D0D0',
                            linewidth=.6)
        self._axis = axis
        self._lines = axis.add_collection3d(Line3DCollection(
            np.zeros((1, 2, 3)), linewidths=2, capstyle='round',
            colors=np.tile(bone_colors(layout), persons)))
        self._bones = pose[:, :, edges]  # (M, T, E, 2, 3)
        self.show(0)

    def show(self, time: float, azimuth: float = _AZIMUTH):
        """Show the frame at a relative time.

        Args:
            time (float): Relative time in [0, 1].
            azimuth (float): Direction of view in degrees, -90 from the camera.
        """
        self._axis.view_init(_ELEVATION, azimuth)
        frame = round(time * (self._bones.shape[1] - 1))
        self._lines.set_segments(self._bones[:, frame].reshape(-1, 2, 3))


def draw_clip_3d(joints: np.ndarray, layout: str | Layout, clip: dict | None = None,
                 num: int = 6) -> Figure:
    """Draw frames of 3D skeletons, evenly spaced from the first to the last.

    Args:
        joints (np.ndarray): (M, T, J, 3), see :class:`ClipPanel3D`.
        layout (str or Layout): Joint layout.
        clip (dict, optional): Annotation of the same frames with ``keypoint`` (M, T, J, 2) and
            ``keypoint_score``, drawn above.
        num (int): Maximum number of frames.

    Returns:
        Figure: One column per frame.
    """
    total = joints.shape[1]
    frames = spaced(total, num)
    rows = 1 + (clip is not None)
    figure = Figure(figsize=(2 * len(frames), 2.1 * rows + .25), dpi=150, layout='constrained')
    for column, frame in enumerate(frames):
        time = frame / max(total - 1, 1)
        if clip is not None:
            axis = figure.add_subplot(2, len(frames), column + 1)
            ClipPanel(axis, clip, layout).show(time)
            axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
        axis = figure.add_subplot(rows, len(frames), (rows - 1) * len(frames) + column + 1,
                                  projection='3d')
        ClipPanel3D(axis, joints, layout).show(time)
        if clip is None:
            axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
    return figure


def animate_clip_3d(joints: np.ndarray, layout: str | Layout, clip: dict | None = None,
                    num: int = 32) -> FuncAnimation:
    """Animate 3D skeletons with a given number of frames.

    The view starts at the camera and swings to both sides to show depth.

    Args:
        joints (np.ndarray): (M, T, J, 3), see :class:`ClipPanel3D`.
        layout (str or Layout): Joint layout.
        clip (dict, optional): Annotation of the same frames, drawn on the left.
        num (int): Frames of the animation.

    Returns:
        FuncAnimation: For :func:`save_animation`.
    """
    columns = 1 + (clip is not None)
    figure = Figure(figsize=(_SIZE * columns, _SIZE), dpi=80)
    grid = figure.add_gridspec(1, columns, left=.01, right=.99, bottom=.06, top=.99, wspace=.02)
    panel = ClipPanel3D(figure.add_subplot(grid[-1], projection='3d'), joints, layout)
    flat = [ClipPanel(figure.add_subplot(grid[0]), clip, layout, 2.5),
            Clock(figure, clip)] if clip else []

    def show(frame: int):
        time = frame / max(num - 1, 1)
        panel.show(time, _FRONT + _SWING * np.sin(2 * np.pi * time))
        for part in flat:
            part.show(time)

    return FuncAnimation(figure, show, num)
