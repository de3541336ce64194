"""Skeletons as strips of frames."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path

from mofm.structures import Layout, get_layout

# Okabe and Ito's palette, suitable for color blindness.
LEFT, RIGHT, MIDDLE, FAINT = '#0072B2', '#D55E00', '#4D4D4D', '#B4B4B4'
GRAY = '#8C8C8C'


def spaced(total: int, num: int) -> np.ndarray:
    """Return at most ``num`` evenly spaced indices from the first to the last of ``total``."""
    return np.unique(np.linspace(0, total - 1, num).round().astype(int))


def bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of the bounding box of points (N, 2), the unit square for N = 0."""
    return (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.ones(2))


def show_window(axis, low: np.ndarray, high: np.ndarray):
    """Show a window of an image with equal scales and a gray frame, y downwards."""
    axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[], aspect='equal')
    axis.spines[:].set_color('#D0D0D0')


def joint_colors(layout: Layout) -> np.ndarray:
    """Get the color of each joint: left is blue, right orange, the middle gray."""
    colors = np.full(layout.num_joints, MIDDLE)
    colors[list(layout.left)], colors[list(layout.right)] = LEFT, RIGHT
    return colors


def bone_colors(layout: Layout) -> np.ndarray:
    """Get the color of each bone: that of its side if both ends are on it."""
    first, second = joint_colors(layout)[np.array(layout.edges)].T
    return np.where(first == second, first, MIDDLE)


def bone_distances(layout: Layout) -> np.ndarray:
    """Count the bones from each joint to each other one, (V, V); 0 for separate parts."""
    graph = np.zeros((layout.num_joints, layout.num_joints))
    graph[tuple(np.transpose(layout.edges))] = 1
    distances = shortest_path(graph, directed=False)
    return np.where(np.isfinite(distances), distances, 0)


def bridges(seen: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Connect the visible parts of a person across as few missing joints as possible.

    Args:
        seen (np.ndarray): (V,) bool.
        distances (np.ndarray): (V, V), see :func:`bone_distances`.

    Returns:
        np.ndarray: (N, 2) joints that are not neighbors.
    """
    tree = minimum_spanning_tree(distances * np.outer(seen, seen))
    return np.transpose((tree > 1).nonzero())


def _faded(colors: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    return to_rgba_array(colors, .15 + .85 * confidence)  # (N, 4)


class Skeletons:
    """Skeletons of any number of persons; colors as in :func:`draw_pose_clip`.

    :meth:`show` updates two artists for all persons, which makes animations fast.

    Args:
        axis (Axes): Axes to draw on.
        layout (Layout): Joint layout.
        width (float): Line width of the bones in points.
    """

    def __init__(self, axis, layout: Layout, width: float = 2.2):
        self._edges = np.array(layout.edges)
        self._colors = joint_colors(layout)
        self._bone_colors = bone_colors(layout)
        self._bones = axis.add_collection(LineCollection([], linewidths=width, capstyle='round'))
        self._joints = axis.scatter([], [], s=4 * width, linewidths=0, zorder=2)
        self._distances = bone_distances(layout)
        self._width = width

    def show(self, keypoint: np.ndarray, score: np.ndarray):
        """Update the positions of the persons.

        Args:
            keypoint (np.ndarray): (M, V, 2) pixels, y downwards.
            score (np.ndarray): (M, V) confidence; joints with 0 are not drawn.
        """
        alpha = np.clip(score, 0, 1)
        seen = alpha > 0
        self._joints.set_offsets(keypoint[seen])
        self._joints.set_color(_faded(np.broadcast_to(self._colors, seen.shape)[seen],
                                      alpha[seen]))
        bone_alpha = alpha[:, self._edges].min(2)  # (M, E)
        shown = bone_alpha > 0
        colors = _faded(np.broadcast_to(self._bone_colors, shown.shape)[shown], bone_alpha[shown])
        across = [points[pair] for points, there in zip(keypoint, seen, strict=True)
                  if not there.all() for pair in bridges(there, self._distances)]
        self._bones.set_segments([*across, *keypoint[:, self._edges][shown]])
        self._bones.set_color([*[GRAY] * len(across), *colors])
        self._bones.set_linewidth([self._width / 2] * len(across) + [self._width] * len(colors))
        self._bones.set_linestyle(['dotted'] * len(across) + ['solid'] * len(colors))


def draw_skeleton(axis, keypoint: np.ndarray, score: np.ndarray, layout: Layout):
    """Draw one person.

    Args:
        axis (Axes): Axes to draw on.
        keypoint (np.ndarray): (V, 2) pixels, y downwards.
        score (np.ndarray): (V,) confidence; joints with 0 are not drawn.
        layout (Layout): Joint layout.
    """
    Skeletons(axis, layout).show(np.asarray(keypoint)[None], np.asarray(score)[None])


def check_clip(keypoints: np.ndarray, grid, layout: Layout):
    """Raise ValueError unless keypoints are (M, J, F, 3) of the layout and a `CubeGrid`."""
    joints, frames = layout.num_joints, grid.num_frames
    if keypoints.ndim != 4 or keypoints.shape[1:] != (joints, frames, 3):
        raise ValueError(f'keypoints {keypoints.shape}: expected (M, {joints}, {frames}, 3) for '
                         f'layout {layout.name} and {grid}')


def draw_borders(axis, height: int, width: int, patch: int):
    """Show all pixels of a canvas with gray lines between the thermal cubes."""
    y, x = (np.arange(0, size + 1, patch) - .5 for size in (height, width))  # between pixels
    axis.hlines(y[1:-1], x[0], x[-1], color='#E3E3E3', linewidth=.6, zorder=.5)
    axis.vlines(x[1:-1], y[0], y[-1], color='#E3E3E3', linewidth=.6, zorder=.5)
    show_window(axis, (x[0], y[0]), (x[-1], y[-1]))


def draw_on_canvas(axis, keypoints: np.ndarray, grid, layout: Layout):
    """Draw one frame of a clip on the canvas with gray borders of the thermal cubes.

    Args:
        axis (Axes): Axes to draw on.
        keypoints (np.ndarray): (M, V, 3) x and y in canvas pixels and score; score 0 is missing.
        grid (CubeGrid): Geometry of the cubes.
        layout (Layout): Joint layout.
    """
    draw_borders(axis, grid.canvas, grid.canvas, grid.patch)
    Skeletons(axis, layout, 1.8).show(keypoints[..., :2], keypoints[..., 2])


def draw_pose_clip(keypoint: np.ndarray, score: np.ndarray, layout: str | Layout = 'coco17',
                   num: int = 8) -> Figure:
    """Draw frames of a clip, evenly spaced from the first to the last.

    A person's left side is blue, the right side orange. The opacity of a bone is the lower
    confidence of its two joints; bones to missing joints (score 0) are not drawn, and dotted gray
    lines connect what is visible across them. All frames share one window, so that motion through
    the image stays visible.

    Args:
        keypoint: (T, V, 2) or, for several persons, (M, T, V, 2) pixels, y downwards.
        score: (T, V) or (M, T, V) confidence in [0, 1].
        layout: Joint layout, or its name in `mofm.structures.LAYOUTS`.
        num: Maximum number of frames.

    Returns:
        Figure: One axes per frame.

    Raises:
        ValueError: If the shapes do not match.
    """
    layout = get_layout(layout) if isinstance(layout, str) else layout
    keypoint, score = np.asarray(keypoint, np.float32), np.asarray(score, np.float32)
    if (keypoint.shape != (*score.shape, 2) or score.ndim not in (2, 3)
            or score.shape[-1] != layout.num_joints):
        raise ValueError(
            f'keypoint {keypoint.shape} and score {score.shape}: expected ([M,] T, '
            f'{layout.num_joints}, 2) and ([M,] T, {layout.num_joints}) for layout {layout.name}')
    if score.ndim == 2:
        keypoint, score = keypoint[None], score[None]
    low, high = bounds(keypoint[score > 0])
    margin = .06 * max(*(high - low), 1)
    low, high = low - margin, high + margin
    frames = spaced(score.shape[1], num)
    panel = 12 / num
    ratio = np.clip((high - low)[1] / (high - low)[0], .5, 3)
    figure = Figure(figsize=(panel * len(frames), (panel - .08) * ratio + .3), dpi=150,
                    layout='constrained')
    axes = figure.subplots(1, len(frames), squeeze=False)[0]
    for axis, frame in zip(axes, frames, strict=True):
        Skeletons(axis, layout).show(keypoint[:, frame], score[:, frame])
        show_window(axis, low, high)
        axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
    return figure
