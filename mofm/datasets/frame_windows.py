"""Windows of consecutive frames of a video with all persons."""

from collections.abc import Sequence

import numpy as np


def window_starts(num_frames: int, size: int, stride: int) -> np.ndarray:
    """Return first frames 0, ``stride``, ... of windows up to the end of the recording.

    Args:
        num_frames (int): Frames of the recording.
        size (int): Frames of a window.
        stride (int): Stride, at most ``size``, so that every frame is in a window.

    Raises:
        ValueError: If the stride is out of range.
    """
    if not 1 <= stride <= size:
        raise ValueError(f'window={size} and stride={stride}: expected 1 <= stride <= '
                         'window, so that every frame is in a window')
    return np.arange(max(-(-(num_frames - size) // stride), 0) + 1) * stride


def cut_window(ann: dict, start: int, size: int) -> dict:
    """Cut one window, padded after the end of the recording.

    Args:
        ann (dict): A valid annotation with ``frame_inds``; frames between them have no person.
        start (int): First frame of the window.
        size (int): S, frames of the window.

    Returns:
        dict: ``keypoint`` (M, S, V, C) and ``keypoint_score`` (M, S, V) float32, ``total_frames``
        S, ``img_shape``, ``frame_dir``, ``frame``, the first frame, ``num_frames`` of the
        recording, and ``valid`` (S,) bool, false for padding.
    """
    low, high = np.searchsorted(ann['frame_inds'], [start, start + size])
    rows = ann['frame_inds'][low:high] - start
    num_frames = int(ann['frame_inds'][-1]) + 1
    window = dict(frame_dir=ann['frame_dir'], img_shape=ann['img_shape'], total_frames=size,
                  frame=start, num_frames=num_frames, valid=start + np.arange(size) < num_frames)
    for name in ('keypoint', 'keypoint_score'):
        if ann.get(name) is not None:
            persons, _, *rest = ann[name].shape
            window[name] = np.zeros((persons, size, *rest), np.float32)
            window[name][:, rows] = ann[name][:, low:high]
    return window


def join_windows(starts: Sequence[int], scores: Sequence[np.ndarray],
                 num_frames: int) -> np.ndarray:
    """Average the scores of overlapping windows of a recording.

    Args:
        starts (Sequence[int]): First frame of each window.
        scores (Sequence[np.ndarray]): (S, K) per window; padding is ignored.
        num_frames (int): T.

    Returns:
        np.ndarray: (T, K) float32, 0 in frames without a window.
    """
    total = np.zeros((num_frames, scores[0].shape[1]), np.float32)
    count = np.zeros((num_frames, 1), np.float32)
    for start, part in zip(starts, scores, strict=True):
        part = part[:num_frames - start]
        total[start:start + len(part)] += part
        count[start:start + len(part)] += 1
    return total / np.maximum(count, 1)
