"""Linear resampling of poses over time and filling of gaps in tracks."""

import numpy as np

from mofm.structures import visible_joints

# Longest gap in frames to resample, as in readers of pose files.
_MAX_GAP = 5


def rows_around(frames: np.ndarray, places: np.ndarray) -> tuple:
    """Find the rows around given times.

    Args:
        frames (np.ndarray): (T,) time of each row, ascending.
        places (np.ndarray): (N,) times in [frames[0], frames[-1]].

    Returns:
        tuple: Row before, row after (equal at a row), and relative position between them in
        [0, 1], (N,) each.
    """
    after = np.searchsorted(frames, places)
    before = after - (frames[after] > places)
    length = frames[after] - frames[before]
    return before, after, (places - frames[before]) / np.where(length > 0, length, 1)


def interpolate(keypoint: np.ndarray, score: np.ndarray, frames: np.ndarray,
                places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate poses linearly, with the lower score of both ends.

    A joint that is missing at one end is missing in between.

    Args:
        keypoint (np.ndarray): (..., T, V, C) float.
        score (np.ndarray): (..., T, V), 0 where a joint is missing.
        frames (np.ndarray): (T,) time of each row, ascending.
        places (np.ndarray): (N,) times in [frames[0], frames[-1]].

    Returns:
        tuple: keypoint (..., N, V, C), 0 where a joint is missing, and score (..., N, V).
    """
    before, after, share = rows_around(frames, places)
    share = share.astype(keypoint.dtype)[:, None, None]
    score = np.minimum(score[..., before, :], score[..., after, :])
    moved = (1 - share) * keypoint[..., before, :, :] + share * keypoint[..., after, :, :]
    return np.where(score[..., None] > 0, moved, 0).astype(keypoint.dtype), score


def fill_gaps(keypoint: np.ndarray, score: np.ndarray, frame_inds: np.ndarray,
              max_gap: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Interpolate short gaps of a track and split it at long ones, see :func:`interpolate`.

    Args:
        keypoint (np.ndarray): (T, V, 2) pixels of one person, float, T at least 1.
        score (np.ndarray): (T, V), 0 where a joint is missing.
        frame_inds (np.ndarray): (T,) frame of each row, ascending.
        max_gap (int): Longest gap in frames to fill; 0 splits at every gap.

    Returns:
        list[tuple]: keypoint (t, V, 2), score (t, V) and frame_inds (t,) of each piece without
        gaps.
    """
    pieces = []
    for rows in np.split(np.arange(len(frame_inds)),
                         1 + np.flatnonzero(np.diff(frame_inds) > max_gap + 1)):
        frames = frame_inds[rows]
        inds = np.arange(frames[0], frames[-1] + 1)
        pieces.append((*interpolate(keypoint[rows], score[rows], frames, inds), inds))
    return pieces


def resample(ann: dict, ratio: float) -> dict:
    """Resample an annotation to another frame rate, see :func:`interpolate`.

    Frames in gaps of more than five frames are dropped.

    Args:
        ann (dict): A valid annotation.
        ratio (float): New frames per old frame.

    Returns:
        dict: Annotation with ``frame_inds`` in new frames, ``fps`` of these, and without frame
        labels.
    """
    inds = ann.get('frame_inds', np.arange(ann['total_frames']))
    frames = np.arange(round(inds[0] * ratio), round(inds[-1] * ratio) + 1)
    places = (frames / ratio).clip(inds[0], inds[-1])
    before, after, _ = rows_around(inds, places)
    near = inds[after] - inds[before] <= _MAX_GAP + 1
    frames, places = frames[near], places[near]
    score = ann['keypoint_score'] * visible_joints(ann['keypoint'], ann['keypoint_score'])
    keypoint, score = interpolate(ann['keypoint'].astype(np.float32), score, inds, places)
    kept = {key: ann[key] for key in ('frame_dir', 'label', 'img_shape', 'clip', 'track_id')
            if key in ann}
    if 'fps' in ann:
        kept['fps'] = ann['fps'] * ratio
    if 'box' in ann:
        corners = ann['box'].astype(np.float32).reshape(*ann['box'].shape[:2], 2, 2)
        there = np.broadcast_to(ann['box'].any(-1, keepdims=True), corners.shape[:3])
        corners, _ = interpolate(corners, there.astype(np.float32), inds, places)
        kept['box'] = corners.reshape(*corners.shape[:2], 4)
    return dict(kept, total_frames=len(frames), frame_inds=frames, keypoint=keypoint,
                keypoint_score=score)
