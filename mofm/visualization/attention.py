"""Attention of the backbone over cubes and their joints."""
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from mofm.structures import LAYOUTS

from .pose import MIDDLE, check_clip, show_window, spaced

# Light gray over orange to dark red, with decreasing lightness.
_ATTENTION = LinearSegmentedColormap.from_list(
    'attention', ['#CFCFCF', '#F5C27A', '#E8743B', '#B2182B', '#5B0A1E'])
_COCO = LAYOUTS['coco17']
_NUM_FRAMES = 7


@torch.no_grad()
def clip_attention(backbone, inputs) -> tuple[Tensor, Tensor]:
    """Compute the attention of every block and head for one clip.

    The weights softmax(q k^T / sqrt(d)) are recomputed from the outputs of forward hooks.

    Args:
        backbone (MoFMBackbone): In evaluation mode.
        inputs (ThermalCubes): One clip.

    Returns:
        tuple: Weights (L, heads, N, N), rows are queries and sum to 1, and the N encoded cubes. A
        class token is the first row and column, before the cubes.

    Raises:
        ValueError: If there is more than one clip, or the backbone has no attention.
    """
    if len(inputs) != 1:
        raise ValueError(f'inputs: found {len(inputs)} clips, expected one')
    blocks = [m for m in backbone.modules() if hasattr(m, 'qkv') and hasattr(m, 'num_heads')]
    if not blocks:
        raise ValueError(f'backbone: found {type(backbone).__name__}, which has no attention; '
                         'expected MoFMBackbone')
    outputs = []
    with ExitStack() as stack:
        for block in blocks:
            handle = block.qkv.register_forward_hook(
                lambda module, args, out, heads=block.num_heads: outputs.append((out, heads)))
            stack.callback(handle.remove)
        features = backbone(inputs)
    weights = []
    for qkv, heads in outputs:
        rows = qkv.flatten(0, -2)  # (N, 3 * D); packed tokens have no axis of clips
        q, k, _ = rows.unflatten(1, (3, heads, -1)).permute(1, 2, 0, 3)  # (heads, N, d)
        weights.append((q @ k.mT / q.shape[-1]**.5).softmax(-1))
    return torch.stack(weights), features.encoded[0].nonzero()[:, 0]


def attention_rollout(weights: Tensor) -> Tensor:
    """Compute the attention rollout (arXiv 2005.00928, Sec. 3).

    The rollout is the product over the blocks of (mean of the heads + identity) / 2.

    Args:
        weights (Tensor): (L, heads, N, N), see :func:`clip_attention`.

    Returns:
        Tensor: (N, N), rows are outputs and sum to 1.
    """
    identity = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    rollout = identity
    for block in weights.mean(1):
        rollout = (block + identity) / 2 @ rollout
    return rollout


def cube_attention(weights: Tensor, cubes: Tensor, num_cubes: int) -> dict:
    """Compute the attention of the pooled features: rollout, and the mean over heads per block.

    The row of the class token counts if there is one; otherwise the rows of all cubes are
    averaged, as in pooling.

    Args:
        weights (Tensor): (L, heads, N, N), see :func:`clip_attention`.
        cubes (Tensor): (n,) cubes of the last n columns.
        num_cubes (int): K.

    Returns:
        dict: 'rollout', 'block 1', ... -> (K,) share of each cube times the number of encoded
        cubes: 1 is uniform attention, NaN a cube that was not encoded.
    """
    maps = {'rollout': attention_rollout(weights)}
    maps.update({f'block {i}': block for i, block in enumerate(weights.mean(1), 1)})
    out = {}
    for name, rows in maps.items():
        with_cls = len(rows) > len(cubes)
        share = (rows[0] if with_cls else rows.mean(0))[int(with_cls):]
        values = np.full(num_cubes, np.nan, np.float32)
        values[cubes.cpu()] = (share / share.sum() * len(cubes)).cpu()
        out[name] = values
    return out


def draw_attention(keypoints: np.ndarray, attention: Mapping[str, np.ndarray], grid) -> Figure:
    """Draw one row per map: the attention of each cube, and frames with joints colored by it.

    A bone has the mean color of its two joints.

    Args:
        keypoints: (M, 17, F, 3) x and y in canvas pixels and score, COCO-17.
        attention: Name -> (K,) attention of the cubes, see :func:`cube_attention`.
        grid (CubeGrid): Geometry of the cubes.

    Returns:
        Figure: The cubes and at most seven frames in each row, then the color bar.

    Raises:
        ValueError: If the shapes do not match.
    """
    keypoints = np.asarray(keypoints, np.float32)
    check_clip(keypoints, grid, _COCO)
    for name, values in attention.items():
        if np.shape(values) != (grid.num_cubes, ):
            raise ValueError(f'{name} {np.shape(values)}: expected ({grid.num_cubes},), one per '
                             'cube')
    top = np.nanquantile(np.stack(list(attention.values())), .98)
    norm = Normalize(0, top, clip=True)
    frames = spaced(grid.num_frames, _NUM_FRAMES)
    panel = 12 / (len(frames) + 1)
    figure = Figure(figsize=(12.9, (panel + .06) * len(attention) + .3), dpi=130,
                    layout='constrained')
    axes = figure.subplots(len(attention), len(frames) + 1, squeeze=False)
    for row, (name, values) in zip(axes, attention.items(), strict=True):
        row[0].imshow(values.reshape(grid.rows, grid.cols), norm=norm,
                      cmap=_ATTENTION.with_extremes(bad='white'),
                      extent=(-.5, grid.canvas - .5, grid.canvas - .5, -.5))
        row[0].set_ylabel(name, fontsize=10)
        for axis, frame in zip(row[1:], frames, strict=True):
            _draw_frame(axis, keypoints[:, :, frame], values, norm, grid)
        for axis in row:
            show_window(axis, [-.5] * 2, [grid.canvas - .5] * 2)
    axes[0, 0].set_title('cubes', fontsize=9, color=MIDDLE)
    for axis, frame in zip(axes[0, 1:], frames, strict=True):
        axis.set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
    figure.colorbar(ScalarMappable(norm, _ATTENTION), ax=axes, fraction=.02, pad=.01,
                    extend='max', label='attention (1: uniform)')
    return figure


def _draw_frame(axis, keypoints, values, norm, grid):
    points, present = keypoints[..., :2], keypoints[..., 2] > 0  # (M, J, 2), (M, J)
    cube = grid.index(*np.moveaxis(points.round(), -1, 0))  # at the pixel of highest heat
    joint = np.nan_to_num(np.where(cube >= 0, values[cube], 0))  # (M, J)
    edges = np.array(_COCO.edges)
    shown = present[:, edges].all(2)
    bones = LineCollection(points[:, edges][shown], linewidths=2.4, capstyle='round',
                           colors=_ATTENTION(norm(joint[:, edges].mean(2)[shown])))
    axis.add_collection(bones)
    axis.scatter(*points[present].T, s=14, linewidths=0, zorder=2,
                 color=_ATTENTION(norm(joint[present])))
