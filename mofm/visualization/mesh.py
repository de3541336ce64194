"""Body meshes as strips of frames, below their 2D keypoints."""

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from .animation import ClipPanel
from .pose import MIDDLE, spaced


def draw_meshes(vertices: np.ndarray, faces: np.ndarray, clip: dict, layout: str) -> Figure:
    """Draw up to six evenly spaced frames of meshes, persons side by side.

    Args:
        vertices (np.ndarray): (M, T, V, 3), x to the right, y down, z away from the camera; NaN
            for absent persons.
        faces (np.ndarray): (F, 3) vertices of each triangle.
        clip (dict): Annotation of the same frames with ``keypoint`` and ``keypoint_score``.
        layout (str): Joint layout of the annotation.

    Returns:
        Figure: One column per frame.
    """
    persons, total = vertices.shape[:2]
    points = vertices[..., [0, 2, 1]] * (1, 1, -1)  # (M, T, V, 3) with z up
    low, high = (extreme(points, (0, 1, 2)) for extreme in (np.nanmin, np.nanmax))
    width = high[0] - low[0]
    frames = spaced(total, 6)
    figure = Figure(figsize=(2 * len(frames), 4.45), dpi=150, layout='constrained')
    for column, frame in enumerate(frames):
        axis = figure.add_subplot(2, len(frames), column + 1)
        ClipPanel(axis, clip, layout).show(frame / max(total - 1, 1))
        axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
        axis = figure.add_subplot(2, len(frames), len(frames) + column + 1, projection='3d')
        for person in range(persons):
            triangles = points[person, frame][faces] + (person * width, 0, 0)  # (F, 3, 3)
            if np.isfinite(triangles).all():
                axis.add_collection3d(Poly3DCollection(triangles, shade=True, linewidths=0,
                                                       facecolors='#8DA9C4'))
        axis.set(xlim=(low[0], low[0] + persons * width), ylim=(low[1], high[1]),
                 zlim=(low[2], high[2]))
        axis.set_aspect('equal')
        axis.set_axis_off()
        axis.view_init(elev=8, azim=-75)  # slightly from the side to show depth
    return figure
