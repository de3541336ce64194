"""Base classes of per-person tasks: windows, results, inferencer."""

from dataclasses import dataclass

import numpy as np

from mofm.apis.inferencers import BaseInferencer, Result
from mofm.apis.windows import ClipWindows, visible
from mofm.hub.published import PublishedKeys


class PersonWindows:
    """Windows of single persons, between the first and the last frame with the person.

    Missing joints have score 0.

    Args:
        ann (dict): A valid annotation with a visible person.
        window (int, optional): Frames of a window, capped at the length. None is one window.
        stride (int, optional): Frames between the starts of windows. Defaults to ``window``; the
            last window ends with the person.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window.
        rows (list[tuple]): W pairs of person index and slice of rows.

    Raises:
        AnnotationError: If a person has no window.
    """

    def __init__(self, ann: dict, window: int | None = None, stride: int | None = None):
        inds = ann.get('frame_inds', np.arange(ann['total_frames']))
        self._windows, self.rows = [], []
        seen = visible(ann)  # (M, T, V)
        score = np.where(seen, ann['keypoint_score'], 0)
        for person, frames in enumerate(seen.any(2)):
            if not frames.any():
                continue
            first, last = np.flatnonzero(frames)[[0, -1]]
            own = np.s_[person:person + 1, first:last + 1]
            clips = ClipWindows(
                dict(frame_dir=ann['frame_dir'], img_shape=ann['img_shape'],
                     total_frames=last + 1 - first, frame_inds=inds[own[1]],
                     keypoint=ann['keypoint'][own], keypoint_score=score[own]),
                window, stride or window)
            for i, start in enumerate(first + clips.starts):
                self._windows.append((clips, i))
                self.rows.append((person, slice(start, start + clips.size)))
        self.frames = np.stack([clips.frames[i] for clips, i in self._windows])

    def __len__(self) -> int:
        return len(self._windows)

    def get_data_info(self, idx: int) -> dict:
        """Return one window as an annotation."""
        clips, i = self._windows[idx]
        return clips.get_data_info(i)


def join_persons(windows: PersonWindows, parts: list[np.ndarray], ann: dict,
                 mean: bool = True) -> np.ndarray:
    """Join windows to values of every person in every frame.

    Args:
        windows (PersonWindows): Windows of the recording.
        parts (list[np.ndarray]): (1, T, J, ...) of each window, NaN where it tells nothing.
        ann (dict): The recording, M persons and T rows.
        mean (bool): Whether overlapping windows are averaged; else the last one counts. Defaults
            to True.

    Returns:
        np.ndarray: (M, T, J, ...) float32, NaN where a person is not seen or no window knows.
    """
    seen = visible(ann).any(2)  # (M, T)
    total = np.zeros((*seen.shape, *parts[0].shape[2:]), np.float32)
    count = np.zeros((*total.shape[:3], *[1] * (total.ndim - 3)), np.float32)
    for (person, rows), (part, ) in zip(windows.rows, parts, strict=True):
        known = np.isfinite(part).all(tuple(range(2, part.ndim)), keepdims=True)
        total[person, rows] = mean * total[person, rows] + np.where(known, part, 0)
        count[person, rows] = mean * count[person, rows] + known
    count[~seen] = 0
    return total / np.where(count > 0, count, np.nan)


@dataclass
class PersonResult(Result):
    """Base class of results for the M persons of a recording in T frames.

    Attributes:
        score (np.ndarray): (M, T, J) float32, confidence of the 2D keypoints, 0 for missing ones.
        layout (str): Name of the joint layout, see :data:`mofm.structures.LAYOUTS`.
        frame (np.ndarray): (T,) float64, input frame of each row; fractional if the frame rate was
            changed.
    """

    suffixes = ('.json', '.npz')  # the poses of a table would be those of the input
    score: np.ndarray
    layout: str
    frame: np.ndarray

    def summary(self) -> str:
        """Summarize the size."""
        persons, frames, joints = self.score.shape
        return f'{persons} persons, {frames} frames, {joints} joints'

    def rows(self) -> list[dict]:
        """Return first and last frame, number of frames and mean confidence of each person."""
        rows = []
        for person, score in enumerate(self.score):
            seen = score.any(1)
            if seen.any():
                first, last = self.frame[seen][[0, -1]]
                rows.append(dict(person=person, first=float(first), last=float(last),
                                 frames=int(seen.sum()), score=float(score[seen].mean())))
        return rows


class PersonInferencer(BaseInferencer):
    """Base class of per-person tasks.

    By default windows do not overlap and have ``seg_len`` frames of the test data set or, if
    unset, ``model.backbone.max_frames``.
    """

    keeps_frames = True
    published = PublishedKeys(dataset=('seg_len', ))

    def make_windows(self, group, options) -> PersonWindows:
        """Cut windows of every person."""
        window = options.window or self.dataset.get('seg_len') or self.max_frames
        return PersonWindows(group[0].ann, window, options.stride)

    def join(self, name, values) -> list:
        """Keep windows as a list, because their lengths differ."""
        return values

    def common(self, group, windows) -> dict:
        """Add ``score``, ``layout`` and ``frame``."""
        ann = group[0].ann
        score = np.where(visible(ann), ann['keypoint_score'], 0).astype(np.float32)
        frame = ann.get('frame_inds', np.arange(ann['total_frames'])) / group[0].ratio
        return dict(super().common(group, windows), score=score, layout=self.layout.name,
                    frame=frame)
