"""Poses of some frames of a video, interpolated in between."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np

from mofm.keypoints.gaps import interpolate

from .estimator import PoseEstimator

#: Frames per second whose poses are estimated by default.
POSE_FPS = 15.
# Mean distance of the joints of one person in two sampled frames, at most, in sizes of the person:
# a sprint.
_NEAR = .4


def frame_step(fps: float | None, pose_fps: float | None) -> int:
    """Return the distance of frames that keeps at least about ``pose_fps`` of them per second.

    Args:
        fps (float, optional): Frames per second of the video; None if unknown.
        pose_fps (float, optional): Frames per second to estimate; None for all.
    """
    return max(int(fps / pose_fps + .1), 1) if fps and pose_fps else 1


def estimate_sampled(estimator: PoseEstimator, frames: Iterable[np.ndarray], step: int,
                     boxes: Iterable[np.ndarray] | None = None
                     ) -> Iterator[dict[str, np.ndarray]]:
    """Estimate the poses in every ``step``-th frame and in the last, and interpolate the others.

    A person is interpolated between two estimated frames in which the joints are near each other.

    Args:
        estimator (PoseEstimator): The pose estimator.
        frames (Iterable[np.ndarray]): (H, W, 3) uint8 BGR.
        step (int): Distance of the estimated frames; 1 for all.
        boxes (Iterable[np.ndarray], optional): Of every frame, see :meth:`PoseEstimator.extract`.

    Yields:
        dict: Per frame, as of :meth:`PoseEstimator.extract`.
    """
    if step == 1:
        yield from estimator.extract(frames, boxes)
        return
    numbers, given = deque[int](), deque[np.ndarray]()

    def sampled():
        skipped = None
        for number, (image, found) in enumerate(zip(
                frames, repeat(None) if boxes is None else boxes, strict=False)):
            skipped = (number, image, found) if number % step else None
            if skipped is None:
                numbers.append(number)
                given.append(found)
                yield image
        if skipped is not None:
            numbers.append(skipped[0])
            given.append(skipped[2])
            yield skipped[1]

    # the estimator takes an image, then its boxes
    found = None if boxes is None else (given.popleft() for _ in repeat(None))
    last = None
    for poses in estimator.extract(sampled(), found):
        number = numbers.popleft()
        if last is not None:
            yield from _between(last[1], poses, number - last[0])
        yield poses
        last = number, poses


def _between(first, second, step) -> Iterator[dict[str, np.ndarray]]:
    """Interpolate persons between two frames, of which the second is ``step`` later."""
    a, b = _same(first, second)
    places = np.arange(1, step)
    ends = np.array([0, step])

    def moved(field, score):  # (N, step - 1, J, 2) and (N, step - 1, J)
        points = np.stack([first[field][a], second[field][b]], 1)
        return interpolate(points.reshape(*score.shape, 2), score, ends, places)

    keypoint, score = moved('keypoints', np.stack(
        [first['keypoint_scores'][a], second['keypoint_scores'][b]], 1))
    corners, _ = moved('bboxes', np.ones((len(a), 2, 2), np.float32))
    weight = np.minimum(first['bbox_scores'][a], second['bbox_scores'][b])
    for i in range(step - 1):
        yield dict(keypoints=keypoint[:, i], keypoint_scores=score[:, i],
                   bboxes=corners[:, i].reshape(-1, 4), bbox_scores=weight)


def _same(first, second) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the persons of both frames, matched by the distance of their joints."""
    from scipy.optimize import linear_sum_assignment

    both = np.minimum(first['keypoint_scores'][:, None], second['keypoint_scores']) > 0
    apart = np.linalg.norm(first['keypoints'][:, None] - second['keypoints'], axis=-1)
    size = (first['bboxes'][:, 2:] - first['bboxes'][:, :2]).max(-1, initial=1)
    apart = (apart * both).sum(-1) / both.sum(-1).clip(1) / size[:, None]
    apart[~both.any(-1)] = np.inf
    rows, columns = linear_sum_assignment(apart.clip(max=1))
    near = apart[rows, columns] < _NEAR
    return rows[near], columns[near]
