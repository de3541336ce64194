"""Thermal cubes: the heat of a clip, what the tokenizer makes of it, and the tokens."""
from typing import Optional

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

_HEAT = 'inferno'
_EMPTY = '#E9E9E9'


def draw_heat(union: np.ndarray, reconstruction: Optional[np.ndarray] = None,
              num: int = 8) -> Figure:
    """Evenly spaced frames of the heat, above the same frames of its reconstruction.

    Brightness is heat to the power 0.6, so that faint heat shows.

    Args:
        union: (F, H, W) maximum over joints, U_R in [0, 1].
        reconstruction: (F, H, W) output of the tokenizer's decoder; values are cut to [0, 1].
        num: Number of frames to draw, at most F.

    Returns:
        Figure: One axes a frame and row, and one for the colour bar.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    rows = [('input', np.asarray(union))]
    if reconstruction is not None:
        rows.append(('reconstruction', np.asarray(reconstruction)))
    shapes = [clip.shape for _, clip in rows]
    if any(len(shape) != 3 or shape != shapes[0] for shape in shapes):
        raise ValueError(f'heat of shape {shapes}: expected (F, H, W), equal for both')
    frames = np.unique(np.linspace(0, shapes[0][0] - 1, num).round().astype(int))
    panel = 12.0 / num
    figure = Figure(figsize=(panel * len(frames) + .9, panel * len(rows) + .35), dpi=150,
                    layout='constrained')
    axes = figure.subplots(len(rows), len(frames), squeeze=False)
    for axis_row, (name, clip) in zip(axes, rows):
        for axis, frame in zip(axis_row, frames):
            image = axis.imshow(clip[frame], cmap=_HEAT, norm=PowerNorm(.6, 0, 1, clip=True))
            axis.set(xticks=[], yticks=[])
        axis_row[0].set_ylabel(name, fontsize=10)
    for axis, frame in zip(axes[0], frames):
        axis.set_title(f'frame {frame}', fontsize=9)
    figure.colorbar(image, ax=axes, ticks=[0, .25, .5, 1], fraction=.02, pad=.01, label='heat')
    return figure


def draw_tokens(token_ids: np.ndarray, rows: int, cols: int, heat: np.ndarray,
                vocabulary: Optional[int] = None) -> Figure:
    """Token map of a clip beside its heat summed over time, as in the paper's Figure 1.

    Low ids are blue and high ones red. Cubes without heat are grey: all of them hold the same
    content and say nothing about the motion. Brightness is heat to the power 0.6.

    Args:
        token_ids: (K,) ids in the cube order of `mofm.models.thermal_cubes.CubeGrid`.
        rows: Rows of cubes, rows * cols = K.
        cols: Columns of cubes.
        heat: (F, H, W) heat of the clip; H divisible by rows, W by cols.
        vocabulary: V, the id of the reddest token plus one; the highest id shown if None.

    Returns:
        Figure: Axes of the tokens, of the heat and of the colour bar.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    token_ids, heat = np.asarray(token_ids), np.asarray(heat)
    if token_ids.shape != (rows * cols,):
        raise ValueError(f'token_ids {token_ids.shape}: expected ({rows * cols},) for {rows} x '
                         f'{cols} cubes')
    if heat.ndim != 3 or heat.shape[1] % rows or heat.shape[2] % cols:
        raise ValueError(f'heat {heat.shape}: expected (F, H, W), H divisible by {rows} and W by '
                         f'{cols}')
    ids = token_ids.reshape(rows, cols)
    total = heat.sum(0)  # (H, W)
    height, width = total.shape[0] // rows, total.shape[1] // cols
    occupied = total.reshape(rows, height, cols, width).max((1, 3)) > 0
    if vocabulary is None:
        vocabulary = int(ids[occupied].max(initial=1)) + 1
    norm, cmap = Normalize(0, vocabulary - 1), colormaps['coolwarm'].with_extremes(bad=_EMPTY)

    figure = Figure(figsize=(12, 5.9), dpi=150, layout='constrained')
    left, right = figure.subplots(1, 2)
    image = left.imshow(np.ma.masked_array(ids, ~occupied), cmap=cmap, norm=norm)
    size = min(11, 122 / max(rows, cols))
    for row, col in np.ndindex(rows, cols):
        red, green, blue, _ = cmap(norm(ids[row, col]))
        dark = occupied[row, col] and .3 * red + .59 * green + .11 * blue < .5
        colour = ('white' if dark else 'black') if occupied[row, col] else '#B4B4B4'
        left.text(col, row, str(ids[row, col]), ha='center', va='center', fontsize=size,
                  color=colour)
    left.set(xticks=np.arange(-.5, cols), yticks=np.arange(-.5, rows))
    left.grid(color='white', linewidth=.8)
    left.set_title(f'token of each cube ({occupied.sum()} of {rows * cols} occupied)', fontsize=11)
    right.imshow(total, cmap=_HEAT, norm=PowerNorm(.6, vmin=0),
                 extent=(-.5, cols - .5, rows - .5, -.5))
    right.set(xticks=np.arange(-.5, cols), yticks=np.arange(-.5, rows))
    right.grid(color='white', linewidth=.4, alpha=.25)
    right.set_title('heat, summed over time', fontsize=11)
    for axis in (left, right):
        axis.tick_params(length=0, labelbottom=False, labelleft=False)
    figure.colorbar(image, ax=left, location='left', fraction=.04, pad=.02,
                    label='token id (grey: empty cube)')
    return figure
