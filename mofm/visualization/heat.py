"""Figures of thermal cubes: heat, reconstruction and tokens of a clip."""

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mofm.structures import get_layout

from .pose import FAINT, MIDDLE, check_clip, draw_borders, draw_on_canvas, joint_colors, spaced

_HEAT = 'inferno'
# without the light end, which is invisible on white
_TIME = ListedColormap(colormaps['plasma'](np.linspace(0, .82, 256)))
_EMPTY = '#E9E9E9'


def draw_heat(union: np.ndarray, reconstruction: np.ndarray | None = None,
              num: int = 8) -> Figure:
    """Draw evenly spaced frames of the heat above the same frames of its reconstruction.

    Brightness is heat to the power 0.6, so that faint heat is visible.

    Args:
        union: (F, H, W) maximum over joints, U_R in [0, 1].
        reconstruction: (F, H, W) output of the tokenizer's decoder, clipped to [0, 1].
        num: Maximum number of frames.

    Returns:
        Figure: One axes per frame and row, and one for the color bar.

    Raises:
        ValueError: If the shapes do not match.
    """
    rows = [('input', np.asarray(union))]
    if reconstruction is not None:
        rows.append(('reconstruction', np.asarray(reconstruction)))
    shapes = [clip.shape for _, clip in rows]
    if any(len(shape) != 3 or shape != shapes[0] for shape in shapes):
        raise ValueError(f'heat of shape {shapes}: expected (F, H, W), equal for both')
    frames = spaced(shapes[0][0], num)
    panel = 12.0 / num
    figure = Figure(figsize=(panel * len(frames) + .9, panel * len(rows) + .35), dpi=150,
                    layout='constrained')
    axes = figure.subplots(len(rows), len(frames), squeeze=False)
    for axis_row, (name, clip) in zip(axes, rows, strict=True):
        for axis, frame in zip(axis_row, frames, strict=True):
            image = axis.imshow(clip[frame], cmap=_HEAT, norm=PowerNorm(.6, 0, 1, clip=True))
            axis.set(xticks=[], yticks=[])
        axis_row[0].set_ylabel(name, fontsize=10)
    for axis, frame in zip(axes[0], frames, strict=True):
        axis.set_title(f'frame {frame}', fontsize=9)
    figure.colorbar(image, ax=axes, ticks=[0, .25, .5, 1], fraction=.02, pad=.01, label='heat')
    return figure


def draw_tokens(token_ids: np.ndarray, rows: int, cols: int, heat: np.ndarray,
                vocabulary: int | None = None) -> Figure:
    """Draw the token map of a clip and its heat summed over time (MoFM, Figure 1).

    Low IDs are blue, high ones red, cubes without heat gray. Brightness is heat to the power 0.6.

    Args:
        token_ids: (K,) IDs in the cube order of `mofm.structures.CubeGrid`.
        rows: Rows of cubes, rows * cols = K.
        cols: Columns of cubes.
        heat: (F, H, W) heat of the clip; H divisible by rows, W by cols.
        vocabulary: V, upper end of the colors; by default the highest ID plus one.

    Returns:
        Figure: Axes of the tokens, of the heat and of the color bar.

    Raises:
        ValueError: If the shapes do not match.
    """
    token_ids, heat = np.asarray(token_ids), np.asarray(heat)
    if token_ids.shape != (rows * cols,):
        raise ValueError(f'token_ids {token_ids.shape}: expected ({rows * cols},) for {rows} x '
                         f'{cols} cubes')
    if heat.ndim != 3 or heat.shape[1] % rows or heat.shape[2] % cols:
        raise ValueError(f'heat {heat.shape}: expected (F, H, W), H divisible by {rows} and W by '
                         f'{cols}')
    total = heat.sum(0)  # (H, W)
    height, width = total.shape[0] // rows, total.shape[1] // cols
    occupied = total.reshape(rows, height, cols, width).max((1, 3)) > 0

    figure = Figure(figsize=(12, 5.9), dpi=150, layout='constrained')
    left, right = figure.subplots(1, 2)
    _draw_grid(left, token_ids.reshape(rows, cols), occupied, vocabulary, 'left')
    right.imshow(total, cmap=_HEAT, norm=PowerNorm(.6, vmin=0),
                 extent=(-.5, cols - .5, rows - .5, -.5))
    right.set(xticks=np.arange(-.5, cols), yticks=np.arange(-.5, rows))
    right.grid(color='white', linewidth=.4, alpha=.25)
    right.set_title('heat, summed over time', fontsize=11)
    right.tick_params(length=0, labelbottom=False, labelleft=False)
    return figure


def _draw_grid(axis, ids, occupied, vocabulary, bar):
    """Draw token IDs (rows, cols) as colored numbers, with a color bar on one side."""
    if vocabulary is None:
        vocabulary = int(ids[occupied].max(initial=1)) + 1
    norm, cmap = Normalize(0, vocabulary - 1), colormaps['coolwarm'].with_extremes(bad=_EMPTY)
    image = axis.imshow(np.ma.masked_array(ids, ~occupied), cmap=cmap, norm=norm)
    size = min(11, 122 / max(ids.shape))
    for (row, col), token in np.ndenumerate(ids):
        red, green, blue, _ = cmap(norm(token))
        dark = .3 * red + .59 * green + .11 * blue < .5
        color = ('white' if dark else 'black') if occupied[row, col] else FAINT
        axis.text(col, row, str(token), ha='center', va='center', fontsize=size, color=color)
    axis.set(xticks=np.arange(-.5, ids.shape[1]), yticks=np.arange(-.5, ids.shape[0]))
    axis.grid(color='white', linewidth=.8)
    axis.set_title(f'token of each cube ({occupied.sum()} of {ids.size} occupied)', fontsize=11)
    axis.tick_params(length=0, labelbottom=False, labelleft=False)
    axis.figure.colorbar(image, ax=axis, location=bar, fraction=.04, pad=.02,
                         label='token id (gray: empty cube)')


def draw_tokenized_clip(keypoints: np.ndarray, token_ids: np.ndarray, occupied: np.ndarray,
                        grid, vocabulary: int) -> Figure:
    """Draw frames of a clip and its motion tokens (MoFM, Figure 1).

    The gray lines in the frames are the borders of the cubes. Low token IDs are blue, high ones
    red, cubes without heat gray. Segments of a clip with cubes of their own are side by side.

    Args:
        keypoints: (M, 17, F, 3) x and y in canvas pixels and score, COCO-17.
        token_ids: (S * K,) IDs in the order of the cubes, one segment after the other.
        occupied: (S * K,) bool, cubes with heat.
        grid (CubeGrid): Geometry of the cubes.
        vocabulary: V, upper end of the colors.

    Returns:
        Figure: For each segment axes of the frames, of the tokens and of the color bar.

    Raises:
        ValueError: If the shapes do not match.
    """
    keypoints, layout = np.asarray(keypoints, np.float32), get_layout('coco17')
    token_ids, occupied = np.asarray(token_ids), np.asarray(occupied, bool)
    check_clip(keypoints, grid, layout)
    segments = max(token_ids.size // grid.num_cubes, 1)
    for name, value in (('token_ids', token_ids), ('occupied', occupied)):
        if value.shape != (segments * grid.num_cubes, ) or grid.num_frames % segments:
            raise ValueError(f'{name} {value.shape}: expected ({grid.num_cubes},), one per cube, '
                             'or a multiple of it for segments')
    if segments == 1:
        figure = Figure(figsize=(12, 5.6), dpi=150, layout='constrained')
        parts = [figure.subfigures(1, 2, width_ratios=(1, 1.12))]
        shape = 3, 3
    else:
        figure = Figure(figsize=(6 * segments, 7), dpi=150, layout='constrained')
        parts = [part.subfigures(2, 1, height_ratios=(1, 3.2))
                 for part in figure.subfigures(1, segments)]
        shape = 1, 4
    count = grid.num_frames // segments
    for number, (first, second) in enumerate(parts):
        axes = first.subplots(*shape).ravel()
        frames = number * count + spaced(count, len(axes))
        for axis in axes[len(frames):]:
            axis.set_axis_off()
        for axis, frame in zip(axes, frames, strict=False):
            draw_on_canvas(axis, keypoints[:, :, frame], grid, layout)
            axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE, pad=3)
        ids, seen = (values.reshape(segments, grid.rows, grid.cols)[number]
                     for values in (token_ids, occupied))
        _draw_grid(second.subplots(), ids, seen, vocabulary, 'right')
    return figure


def draw_joint_heat(volume: np.ndarray, patch: int) -> Figure:
    """Draw the heat of each joint over time; gray lines are the borders of the cubes.

    The hue of a pixel is the frame of its maximum heat, the saturation that heat to the power 0.6.

    Args:
        volume: (17, F, H, W) heat of the joints, U in [0, 1], COCO-17.
        patch: Side of a cube in pixels.

    Returns:
        Figure: One axes per joint, and one for the color bar.

    Raises:
        ValueError: If the volume has another shape.
    """
    volume, layout = np.asarray(volume, np.float32), get_layout('coco17')
    if volume.ndim != 4 or len(volume) != layout.num_joints:
        raise ValueError(f'heat {volume.shape}: expected ({layout.num_joints}, F, H, W) for '
                         f'layout {layout.name}')
    heat, frame = volume.max(1).clip(0, 1) ** .6, volume.argmax(1)  # (J, H, W)
    norm = Normalize(0, max(volume.shape[1] - 1, 1))
    images = 1 - (1 - _TIME(norm(frame))[..., :3]) * heat[..., None]
    columns = 6
    rows = -(-len(volume) // columns)
    figure = Figure(figsize=(12, 2.13 * rows), dpi=150, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.ravel()[len(volume):]:
        axis.set_axis_off()
    for joint, axis in zip(range(len(volume)), axes.ravel(), strict=False):
        axis.imshow(images[joint])
        draw_borders(axis, *volume.shape[2:], patch)
        name = layout.joints[joint].replace('_', ' ')
        axis.set_title(name if heat[joint].any() else f'{name} (missing)', fontsize=10,
                       color=joint_colors(layout)[joint])
    figure.colorbar(ScalarMappable(norm, _TIME), ax=axes, fraction=.02, pad=.01, label='frame',
                    ticks=MaxNLocator(8, integer=True))
    return figure
