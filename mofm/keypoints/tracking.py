"""Track IDs of untracked poses, assigned by object keypoint similarity.

Object keypoint similarity (OKS) of the COCO evaluation is the mean over visible joints of
exp(-d^2 / (2 s^2 k^2)), with the distance d, the area of the person s^2 and k twice the standard
deviation of annotators at that joint (Ronchi and Perona, ICCV 2017).
"""
from collections.abc import Sequence

import numpy as np

#: Tolerance of each COCO-17 joint in the similarity of COCO, in sizes of the person.
SIGMAS = np.array([.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107,
                   .087, .087, .089, .089])
# Pairs below are different persons.
_MIN_OKS = .2
# Minimum ratio of the sides of a person, as collinear poses would have no area and never match.
_MIN_SIDE = 1 / 3
# Weight of the last step in the velocity, small to average out swinging limbs.
_SMOOTH = .1
# Distance of the end of a track to the start of the next one of a person, in sizes of the person,
# and for every frame between them, up to a number of frames: a walk of 1.5 m/s.
_NEAR, _FARTHER, _MOST = .3, .03, 30
# Lost tracks that a new one is compared with.
_MOST_LOST = 1000


def _area(keypoint: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Compute the area around the visible joints: (N, 17, 2), (N, 17) -> (N,)."""
    visible = visible[..., None]
    side = (np.where(visible, keypoint, -np.inf).max(1)
            - np.where(visible, keypoint, np.inf).min(1))  # (N, 2), -inf without any joint
    return side.clip(side.max(-1, keepdims=True).clip(0) * _MIN_SIDE).prod(-1)


def oks(keypoint: np.ndarray, score: np.ndarray, other: np.ndarray,
        other_score: np.ndarray) -> np.ndarray:
    """Compute the object keypoint similarity of two sets of poses.

    The lower of both scores replaces the visibility of COCO, so joints that are missing in one
    pose do not count. The area is the mean of both bounding boxes of joints.

    Args:
        keypoint (np.ndarray): (N, 17, 2) pixels, COCO-17.
        score (np.ndarray): (N, 17) in [0, 1], 0 where a joint is missing.
        other (np.ndarray): (K, 17, 2).
        other_score (np.ndarray): (K, 17).

    Returns:
        np.ndarray: (N, K) in [0, 1], 0 for poses without a common joint.
    """
    weight = np.minimum(score[:, None], other_score)  # (N, K, 17)
    area = (_area(keypoint, score > 0)[:, None] + _area(other, other_score > 0)) / 2  # (N, K)
    distance = ((keypoint[:, None] - other)**2).sum(-1)
    spread = (2 * SIGMAS)**2 * area[..., None] + np.spacing(1)
    similarity = (weight * np.exp(-distance / (2 * spread))).sum(-1)
    return similarity / np.maximum(weight.sum(-1), np.spacing(1))


class PoseTracker:
    """Online assignment of track IDs to per-frame poses.

    Poses are matched to existing tracks, extrapolated by their mean velocity, by the assignment
    with the highest sum of OKS. Lost tracks are kept for a while. The result is deterministic.

    Args:
        max_lost (int): Number of frames that a lost track is kept, at least 0.
    """

    def __init__(self, max_lost: int = 30):
        self.max_lost = max_lost
        self._count = 0
        self._tracks = dict(
            keypoint=np.zeros((0, 17, 2)), score=np.zeros((0, 17)), velocity=np.zeros((0, 2)),
            frame=np.zeros(0, int), number=np.zeros(0, int))

    def update(self, keypoint: np.ndarray, score: np.ndarray, frame: int) -> np.ndarray:
        """Assign track IDs to the poses of the next frame.

        Args:
            keypoint (np.ndarray): (N, 17, 2) pixels, COCO-17.
            score (np.ndarray): (N, 17) in [0, 1], 0 where a joint is missing.
            frame (int): Number of the frame, higher than the previous one.

        Returns:
            np.ndarray: (N,) unique track IDs, from 0 in order of appearance.
        """
        from scipy.optimize import linear_sum_assignment

        recent = frame - self._tracks['frame'] <= self.max_lost + 1
        tracks = {field: value[recent] for field, value in self._tracks.items()}
        steps = np.nan_to_num(tracks['velocity']) * (frame - tracks['frame'])[:, None]
        similarity = oks(keypoint, score, tracks['keypoint'] + steps[:, None], tracks['score'])
        similarity[similarity < _MIN_OKS] = 0
        row, track = linear_sum_assignment(similarity, maximize=True)
        matched = similarity[row, track] > 0
        row, track = row[matched], track[matched]

        number, velocity = np.full(len(keypoint), -1), np.full((len(keypoint), 2), np.nan)
        number[row] = tracks['number'][track]
        new = number < 0
        number[new] = np.arange(self._count, self._count + new.sum())
        self._count += new.sum()
        velocity[row] = _velocity(tracks, track, frame, keypoint[row], score[row])
        seen = dict(keypoint=keypoint, score=score, velocity=velocity,
                    frame=np.full(len(keypoint), frame), number=number)
        self._tracks = {field: np.concatenate([np.delete(value, track, 0), seen[field]])
                        for field, value in tracks.items()}
        return number


def track_poses(frames: Sequence[tuple[np.ndarray, np.ndarray]],
                frame_inds: Sequence[int] | None = None,
                max_lost: int = 30) -> list[np.ndarray]:
    """Assign track IDs to all frames of a recording, see :class:`PoseTracker`.

    Args:
        frames (Sequence[tuple]): keypoint (N, 17, 2) and score (N, 17) of N >= 0 persons per
            frame.
        frame_inds (Sequence[int], optional): Number of each frame, ascending. Defaults to 0, 1,
            ....
        max_lost (int): See :class:`PoseTracker`.

    Returns:
        list[np.ndarray]: (N,) track IDs per frame.
    """
    tracker = PoseTracker(max_lost)
    frame_inds = range(len(frames)) if frame_inds is None else frame_inds
    return [tracker.update(*poses, frame) for frame, poses in zip(frame_inds, frames, strict=True)]


def _velocity(tracks, track, frame, keypoint, score):
    """Update velocities of matched tracks, (n, 2) pixels per frame; NaN if still unknown."""
    weight = np.minimum(score, tracks['score'][track])[..., None]  # (n, 17, 1)
    shift = (weight * (keypoint - tracks['keypoint'][track])).sum(1) / weight.sum(1)
    shift = shift / (frame - tracks['frame'][track])[:, None]
    velocity = tracks['velocity'][track]
    return np.where(np.isnan(velocity), shift, velocity + _SMOOTH * (shift - velocity))


def join_tracks(track: np.ndarray, frame: np.ndarray, points: np.ndarray,
                max_gap: int = 30) -> np.ndarray:
    """Join tracks of one person who goes on under another number.

    Two tracks are joined if they have no frame in common and their joints are near wherever one
    follows the other within ``max_gap`` frames: by their mean distance, at most .3 of the size of
    the person, and .03 more per frame of the gap, up to 30 frames. Nearest tracks are joined
    first. So persons who are there at the same time are never joined, nor is what appears
    elsewhere.

    Args:
        track (np.ndarray): (R,) int, the track of each pose, once per frame.
        frame (np.ndarray): (R,) int, its frame.
        points (np.ndarray): (R, J, D) coordinates in any unit, NaN where missing.
        max_gap (int): Longest time in frames between two tracks of one person.

    Returns:
        np.ndarray: (R,) the number of the first track of each person.
    """
    order = np.lexsort((frame, track))
    numbers, first = np.unique(track[order], return_index=True)
    if len(numbers) < 2:
        return track
    rows = dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))
    extent = (np.fmax.reduce(points, 1) - np.fmin.reduce(points, 1)).max(-1)  # (R,)
    size = {number: np.median(extent[r]) for number, r in rows.items()}

    def distances(rows, others):
        apart = np.linalg.norm(points[rows] - points[others], axis=-1)  # (N, J)
        known = np.isfinite(apart)
        return np.where(known, apart, 0).sum(-1) / known.sum(-1).clip(1), known.any(-1)

    def cost(rows, others, size):  # (N,) relative to the size, infinite if too far
        gap = frame[others] - frame[rows] - 1
        apart, known = distances(rows, others)
        near = known & (apart <= size * (_NEAR + _FARTHER * gap.clip(0, _MOST)))
        return np.where(near, apart + size * _FARTHER * gap, np.inf)

    def fit(a, b):
        few, many = sorted((rows[a], rows[b]), key=len)
        low, high = np.searchsorted(frame[many], frame[few[[0, -1]]] + [-max_gap - 1, max_gap + 2])
        both = np.concatenate([few, many[low:high]])
        side = np.arange(len(both)) < len(few)
        time = np.argsort(frame[both], kind='stable')
        both, side = both[time], side[time]
        step = np.diff(frame[both])
        seam = np.flatnonzero((side[1:] != side[:-1]) & (step <= max_gap + 1))
        return step.all() and np.isfinite(
            cost(both[seam], both[seam + 1], min(size[a], size[b]))).all()

    # where a track is lost, for good or for some frames
    lost = order[(np.diff(track[order], append=-1) != 0) | (np.diff(frame[order], append=-1) != 1)]
    lost = lost[np.argsort(frame[lost], kind='stable')]
    pairs = []
    for number, (start, *_) in rows.items():
        window = np.searchsorted(frame[lost], frame[start] - [max_gap + 1, 0])
        before = lost[slice(*window)][-_MOST_LOST:]
        before = before[track[before] != number]
        sizes = np.array([min(size[number], size[other]) for other in track[before].tolist()])
        costs = cost(before, np.full(len(before), start), sizes)
        near = np.isfinite(costs)
        pairs += [(c, other, number) for c, other in zip(
            costs[near].tolist(), track[before[near]].tolist(), strict=True)]
    root = {number: number for number in rows}
    for _, a, b in sorted(pairs):
        a, b = root[a], root[b]
        if a != b and fit(a, b):
            a, b = sorted((a, b), key=lambda number: frame[rows[number][0]])
            joined = np.concatenate([rows[a], rows.pop(b)])
            rows[a] = joined[np.argsort(frame[joined], kind='stable')]
            for number in np.unique(track[rows[a]]).tolist():
                root[number] = a
    out = track.copy()
    for number, r in rows.items():
        out[r] = number
    return out
