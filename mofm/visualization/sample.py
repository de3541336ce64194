"""Figures of a clip before and after the pipeline."""
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mofm.structures import LAYOUTS

from .animation import ClipPanel
from .pose import MIDDLE, draw_on_canvas

_COCO = LAYOUTS['coco17']
_MASKED = '#56B4E9'  # of Okabe and Ito's palette, distinct from the colors of heat


def draw_sample(clip: dict, keypoints: np.ndarray, union: np.ndarray, grid,
                mask: np.ndarray | None = None, title: str = '') -> Figure:
    """Draw up to eight frames of a clip as stored and on the canvas, and its cubes.

    Args:
        clip (dict): Annotation with joints in COCO-17 order.
        keypoints (np.ndarray): (M, 17, F, 3) x and y in canvas pixels and score, after the
            pipeline.
        union (np.ndarray): (F, H, W) heat, U_R.
        grid (CubeGrid): Geometry of the cubes.
        mask (np.ndarray, optional): (K,) bool, cubes to predict.
        title (str): Title of the figure.

    Returns:
        Figure: Axes of the clip and the canvas alternating over time, then of the cubes.
    """
    times = np.linspace(0, 1, min(8, grid.num_frames))
    # fixed layout, as automatic layouts take seconds
    figure = Figure(figsize=(1.3 * len(times) + 3.2, 3.3), dpi=100)
    figure.suptitle(title, fontsize=10, color=MIDDLE, ha='left', x=.01, parse_math=False)
    cells = figure.add_gridspec(2, len(times) + 2, left=.03, right=.995, bottom=.02, top=.84,
                                wspace=.08, hspace=.16)
    for column, time in enumerate(times):
        raw, canvas = (figure.add_subplot(cells[row, column]) for row in range(2))
        ClipPanel(raw, clip, width=1.4).show(time)
        frame = round(time * (grid.num_frames - 1))
        draw_on_canvas(canvas, keypoints[:, :, frame], grid, _COCO)
        raw.set_title(f'frame {round(time * (clip["keypoint"].shape[1] - 1))}', fontsize=8)
        canvas.set_title(f'frame {frame}', fontsize=8)
        if not column:
            raw.set_ylabel('stored', fontsize=9)
            canvas.set_ylabel('on the canvas', fontsize=9)
    draw_cubes(figure.add_subplot(cells[:, -2:]), union, grid, mask)
    return figure


def draw_cubes(axis, union: np.ndarray, grid, mask: np.ndarray | None = None):
    """Draw the heat of a clip over time, with the masked cubes framed.

    Args:
        axis (Axes): Axes to draw on.
        union (np.ndarray): (F, H, W) heat, U_R.
        grid (CubeGrid): Geometry of the cubes.
        mask (np.ndarray, optional): (K,) bool.
    """
    heat = np.asarray(union).max(0)
    occupied = heat.reshape(grid.rows, grid.patch, grid.cols, grid.patch).max((1, 3)) > 0
    text = f'{occupied.sum()} of {grid.num_cubes} cubes occupied'
    axis.imshow(heat, cmap='inferno', vmin=0, vmax=1)
    if mask is not None:
        text += f'\n{np.sum(mask)} masked (framed)'
        for cube in np.flatnonzero(mask):
            corner = np.array(divmod(cube, grid.cols))[::-1] * grid.patch - .5
            axis.add_patch(Rectangle(corner, grid.patch, grid.patch, fill=False, color=_MASKED,
                                     linewidth=1.5))
    axis.set(xticks=[], yticks=[])
    axis.set_title(text, fontsize=8)


def draw_samples(unions: Sequence[np.ndarray], titles: Sequence[str], grid,
                 masks: Sequence[np.ndarray | None]) -> Figure:
    """Draw the heat over time of many samples.

    Args:
        unions (Sequence[np.ndarray]): (F, H, W) each.
        titles (Sequence[str]): Titles of the samples.
        grid (CubeGrid): Geometry of the cubes.
        masks (Sequence[np.ndarray or None]): (K,) bool each.

    Returns:
        Figure: One axes per sample.
    """
    columns = min(len(unions), 4)
    rows = -(-len(unions) // columns)
    figure = Figure(figsize=(2.6 * columns, 3.1 * rows), dpi=100)
    figure.subplots_adjust(.01, .22 / 3.1 / rows, .99, 1 - .32 / 3.1 / rows, .03, .24)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(unions):]:
        axis.set_axis_off()
    for axis, union, title, mask in zip(axes, unions, titles, masks, strict=True):
        draw_cubes(axis, union, grid, mask)
        axis.set_xlabel(title, fontsize=8, parse_math=False)
    return figure
