"""Arrays of callers: NumPy arrays of any kind, masked arrays, tensors and nested lists."""

from typing import Any

import numpy as np
import torch

from mofm.annotations.values import MAX_SCORE
from mofm.structures import Layout, convert, visible_joints

#: Orders of the axes of arrays: M persons, T frames, V joints, C coordinates and score.
AXES = ('MTVC', 'TMVC', 'CTVM')
# Frames that are certainly no persons, and their number per person.
_FRAMES, _RATIO = 16, 4
# Steps between frames in sizes of the person: of a person who moves, and of two persons. The
# steps along the axis of the persons are larger by a factor.
_MOVES, _JUMPS, _FACTOR = .3, 1., 4
_PART = 256  # of an axis, is enough to see motion
# Share of frames whose persons stand upright.
_UPRIGHT = .6
# Those of heat maps are slightly negative.
_SCORES, _OTHERS = (-.5, MAX_SCORE), .02


def to_floats(value: Any) -> np.ndarray:
    """Convert numbers to an array of floats of the machine, NaN where they are masked.

    Args:
        value (Any): float16, float32 and float64 are kept; other numbers become float32.

    Raises:
        TypeError: If these are no real numbers; the message is what was found.
    """
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        elif isinstance(value, (list, tuple)) and isinstance(_leaf(value)[1], torch.Tensor):
            value = [to_floats(item) for item in value]
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except Exception as error:  # tensors without values, ragged lists, faults of other classes
        raise TypeError(f'{type(value).__name__} ({type(error).__name__}: {error})') from None
    if array.dtype.kind not in 'fiub' or isinstance(value, (str, bytes)) or value is None:
        raise TypeError(type(value).__name__ if array.dtype == object and not array.ndim else
                        f'{array.dtype} of shape {array.shape}')
    kind = array.dtype.newbyteorder('=') if array.dtype.kind == 'f' else np.dtype(np.float32)
    kind = np.dtype(np.float64) if kind.itemsize > 8 else kind
    if isinstance(array, np.ma.MaskedArray):
        return np.ma.filled(array.astype(kind), np.nan)
    return np.asarray(array, kind).view(np.ndarray)


def _leaf(value: Any) -> tuple[int, Any]:
    """Return the depth of the first item of nested lists that is no list, and this item."""
    depth = 0
    while isinstance(value, (list, tuple)) and len(value):
        depth, value = depth + 1, value[0]
    return depth, value


def num_axes(value: Any) -> int:
    """Return the axes of numbers in nested lists, which may end in arrays, by their first item.

    Returns:
        int: 0 if the lists hold no numbers.
    """
    depth, leaf = _leaf(value)
    if isinstance(leaf, (np.ndarray, torch.Tensor)):
        return depth + leaf.ndim
    return depth if isinstance(leaf, (int, float, np.number)) else 0


def to_axes(array: np.ndarray, axes: str) -> np.ndarray:
    """Reorder axes to persons, frames, joints, coordinates.

    Args:
        array (np.ndarray): With four axes.
        axes (str): Their order, one of :data:`AXES`.
    """
    return array.transpose([axes.index(axis) for axis in 'MTVC'])


def find_axes(array: np.ndarray, layout: Layout) -> tuple[str | None, str]:
    """Tell persons from frames.

    Frames are many, and a person moves little from one to the next.

    Args:
        array (np.ndarray): (M, T, V, C) or (T, M, V, C), C at least 2.
        layout (Layout): Its V joints.

    Returns:
        tuple[str or None, str]: One of :data:`AXES`, None if it cannot be told; and the reason.
    """
    first, second = array.shape[:2]
    if first in (2, 3) and array.shape[3] == 2 and not _are_upright(array, layout):
        return None, f'M={first} persons and C=2, or C={first} coordinates of M=2 persons'
    steps = _steps(array[:_PART, :_PART])
    votes = set()
    small, large = sorted((first, second))
    if large >= max(_FRAMES, _RATIO * small):
        votes.add('MTVC' if second == large else 'TMVC')
    if 1 in (first, second):
        step, axes = (steps[1], 'MTVC') if first == 1 else (steps[0], 'TMVC')
        if not step > (_JUMPS if first == 1 else _MOVES):  # NaN without two visible frames
            votes.add(axes)
    elif min(steps) > 0 and max(steps) > _FACTOR * min(steps):  # copies do not move
        votes.add('TMVC' if steps[0] < steps[1] else 'MTVC')
    if len(votes) != 1:
        return None, f'M={first} and T={second}, or T={first} and M={second}'
    axes, = votes
    frames, persons = (first, second) if axes == 'TMVC' else (second, first)
    return axes, f'{frames} frames of {persons} persons'


def jumps(array: np.ndarray) -> bool:
    """Return whether a person moves by more than their size between frames (T, V, C)."""
    return _steps(array[None, :_PART])[1] > _JUMPS


def _steps(array) -> tuple[float, float]:
    """Return the median steps along the first two axes in sizes of the person, or NaN."""
    points = array[..., :2].astype(np.float64)
    points[~points.any(-1)] = np.nan
    low, high = np.fmin.reduce(points, 2), np.fmax.reduce(points, 2)  # (., ., 2)
    size = np.linalg.norm(high - low, axis=-1)
    size = np.median(size[size > 0]) if (size > 0).any() else np.nan
    steps = []
    for axis in (0, 1):
        step = np.linalg.norm(np.diff(points, axis=axis), axis=-1)
        known = step[np.isfinite(step)]
        steps.append(float(np.median(known) / size) if len(known) else np.nan)
    return steps[0], steps[1]


def _are_upright(array, layout) -> bool:
    """Return whether the head is above the feet in most frames of all persons (M, T, V, 2)."""
    if array.shape[2] != layout.num_joints:
        return True  # an error of its own
    points, _ = convert(np.nan_to_num(array), np.ones(array.shape[:3]), layout.name)
    head, feet = points[..., 0, 1], points[..., 15:17, 1].mean(-1)  # (M, T)
    return bool(((head < feet).mean(1) > _UPRIGHT).all())


def split_scores(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split joints into coordinates and scores.

    Args:
        array (np.ndarray): (..., V, 2) x and y, or (..., V, 3) also with scores.

    Returns:
        tuple: (..., V, 2) and scores (..., V), 1 by default.

    Raises:
        ValueError: If the third value is no score; the message is what was found.
    """
    keypoint = array[..., :2]
    if array.shape[-1] == 2:
        return keypoint, np.ones(array.shape[:-1], np.float32)
    score = array[..., 2]
    known = score[visible_joints(np.nan_to_num(keypoint), np.ones(score.shape))]
    known = known[np.isfinite(known)]
    if len(known) and ((known < _SCORES[0]) | (known > _SCORES[1])).mean() > _OTHERS:
        raise ValueError(f'third values from {known.min():.3g} to {known.max():.3g}')
    return keypoint, score
