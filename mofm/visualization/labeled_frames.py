"""Three frames of a clip with the names of the joints, to check layout, sides and image size."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mofm.structures import get_layout, visible_joints

from .pose import LEFT, MIDDLE, RIGHT, bounds, draw_skeleton, joint_colors, show_window

_FRAMES = 3
# Sides of the window around a person in heights and widths of it, with space for the names.
_HIGH, _WIDE = 1.12, 1.9
_MARGIN = .05  # around the image
_FONT, _LINES = 7, 30


def draw_labeled_frames(ann: dict, layout: str = 'coco17') -> Figure:
    """Draw the first, middle and last frame with a person.

    Above is the image with its border, below the largest person with the names of the joints: the
    person's left is blue, the right orange. 3D joints are drawn from the side (z and y) and
    from the front (x and y).

    Args:
        ann (dict): A valid annotation, 2D in pixels, or 3D with y up.
        layout (str): Joint layout.

    Returns:
        Figure: Six axes.
    """
    order = get_layout(layout)
    keypoint, score = ann['keypoint'].astype(np.float32), ann['keypoint_score']
    known = visible_joints(keypoint, score)  # (M, T, V)
    rows = np.flatnonzero(known.any((0, 2)))
    rows = rows[np.linspace(0, len(rows) - 1, min(_FRAMES, len(rows))).round().astype(int)]
    inds = ann.get('frame_inds', np.arange(ann['total_frames']))
    is_3d = keypoint.shape[-1] == 3
    views = ((2, 1), (0, 1)) if is_3d else ((0, 1), (0, 1))
    names = ('side: z, y', 'front: x, y') if is_3d else ('image', 'largest person')
    figure = Figure(figsize=(4.2 * _FRAMES, 8), dpi=100, layout='constrained')
    axes = figure.subplots(2, _FRAMES, squeeze=False, height_ratios=(.8, 1))
    for axis in axes[:, len(rows):].ravel():
        axis.set_axis_off()
    for column, row in zip(axes.T, rows, strict=False):
        persons = np.flatnonzero(known[:, row].any(-1))
        points = keypoint[persons, row] * ((1, -1, 1) if is_3d else 1)  # y downwards
        seen = known[persons, row]
        largest = max(range(len(persons)), key=lambda i: _size(points[i][seen[i]]))
        for axis, view in zip(column, views, strict=True):
            for i in range(len(persons)):
                draw_skeleton(axis, points[i][:, view],
                              seen[i] * score[persons[i], row].clip(.3, 1), order)
        for axis, view in zip(column, views, strict=True):
            _show_person(axis, points[largest][seen[largest]][:, view])
        _label(column[1], points[largest][:, views[1]], seen[largest], order)
        if not is_3d:
            _show_image(column[0], points[seen], ann['img_shape'])
        column[0].set_title(f'frame {inds[row]}', fontsize=9, color=MIDDLE)
    for line, name in zip(axes, names, strict=True):
        line[0].set_ylabel(name, fontsize=9, color=MIDDLE)
    lines = [Line2D([], [], color=color, label=f"the person's {side}", linewidth=3)
             for side, color in (('left', LEFT), ('right', RIGHT))]
    figure.legend(handles=lines, fontsize=9, loc='outside lower center', ncols=2)
    height, width = ann['img_shape']
    size = 'meters' if is_3d else f'image of height {height} and width {width}'
    figure.suptitle(f"{ann['frame_dir']}: {layout}, {size}", fontsize=10, color=MIDDLE,
                    parse_math=False)
    return figure


def _size(points) -> float:
    low, high = bounds(points)
    return float(np.linalg.norm(high - low))


def _show_person(axis, points):
    """Show a square around the points of a person."""
    low, high = bounds(points)
    width, height = np.maximum(high - low, 1e-3)
    corner = np.full(2, max(_HIGH * height, _WIDE * width)) / 2
    show_window(axis, (low + high) / 2 - corner, (low + high) / 2 + corner)


def _show_image(axis, points, img_shape):
    """Show the border of the image and all points, also those outside."""
    corner = np.array(img_shape[::-1])
    low, high = bounds(np.concatenate([points, [[0, 0]], [corner]]))
    margin = _MARGIN * max(corner)
    show_window(axis, low - margin, high + margin)
    axis.set(xticks=[0, corner[0]], yticks=[0, corner[1]])
    axis.tick_params(labelsize=8, colors=MIDDLE)
    axis.add_patch(Rectangle((0, 0), *corner, fill=False, edgecolor='black', linewidth=2))


def _label(axis, points, seen, layout):
    """Write the names of the joints beside them, those of the left side to the right."""
    middle = np.median(points[seen][:, 0])
    colors = joint_colors(layout)
    order = np.flatnonzero(seen)
    for at_right in (False, True):
        chosen = order[(points[order, 0] >= middle) == at_right]
        chosen = chosen[np.argsort(points[chosen, 1])]
        low, high = axis.get_ylim()[::-1]
        step = (high - low) / _LINES
        places = _apart(points[chosen, 1], step)
        edges = axis.get_xlim()
        edge = edges[int(at_right)] + .01 * (edges[0] - edges[1]) * (1 if at_right else -1)
        for joint, y in zip(chosen, places, strict=True):
            axis.annotate(layout.joints[joint], points[joint], (edge, y), fontsize=_FONT,
                          color=colors[joint], va='center', ha='right' if at_right else 'left',
                          arrowprops=dict(
                              arrowstyle='-', color=colors[joint], linewidth=.4, alpha=.6))


def _apart(places: np.ndarray, step: float) -> np.ndarray:
    """Move ascending places apart until they differ by at least a step."""
    out = np.array(places, float)
    for i in range(1, len(out)):
        out[i] = max(out[i], out[i - 1] + step)
    return out - max(out[-1] - places[-1], 0) / 2 if len(out) else out
