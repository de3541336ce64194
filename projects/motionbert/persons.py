"""Tasks about single persons in a recording: windows, joined results, rows of a table."""

from dataclasses import dataclass

import numpy as np

from mofm.apis.inferencers import BaseInferencer, Result
from mofm.apis.windows import ClipWindows, visible
from mofm.hub.published import PublishedKeys


class PersonWindows:
    """Runs of frames of one person, from where the person is first seen to where last.

    Missing joints have score 0.

    Args:
        ann (dict): A valid annotation with a visible person.
        window (int, optional): Frames of a window. None, or more than there are: all in one.
        stride (int, optional): Frames between the starts of two windows. None is a window; the
            last one ends with the person.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window.
        rows (list[tuple]): W pairs: the person's index, and a slice of the rows.

    Raises:
        AnnotationError: If a person has no window, which takes a stride of more than a window.
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
        """One window as an annotation."""
        clips, i = self._windows[idx]
        return clips.get_data_info(i)


def join_persons(windows: PersonWindows, parts: list[np.ndarray], ann: dict,
                 mean: bool = True) -> np.ndarray:
    """Values of every person in every frame.

    Args:
        windows (PersonWindows): Windows of the recording.
        parts (list[np.ndarray]): (1, T, ...) of each window.
        ann (dict): The recording, M persons and T rows.
        mean (bool): Whether frames in several windows get the mean, otherwise the value of the
            last. Defaults to True.

    Returns:
        np.ndarray: (M, T, ...) float32, NaN where a person is not seen.
    """
    seen = visible(ann).any(2)  # (M, T)
    total = np.zeros((*seen.shape, *parts[0].shape[2:]), np.float32)
    count = np.zeros(seen.shape, np.float32)
    for (person, rows), part in zip(windows.rows, parts, strict=True):
        total[person, rows] = mean * total[person, rows] + part[0]
        count[person, rows] = mean * count[person, rows] + 1
    known = seen & (count > 0)
    total[known] /= count[known].reshape(-1, *[1] * (total.ndim - 2))
    total[~known] = np.nan
    return total


@dataclass
class PersonResult(Result):
    """Base class of results for the M persons of a recording in T frames.

    Attributes:
        score (np.ndarray): (M, T, J) float32, confidence of the 2D keypoints, 0 for joints that
            were missing.
        layout (str): Name of the joints' layout, see :data:`mofm.structures.LAYOUTS`.
        frame (np.ndarray): (T,) float64, the frame of the input behind each row; between two of
            them if the frame rate was changed.
    """

    score: np.ndarray
    layout: str
    frame: np.ndarray

    def summary(self) -> str:
        """Size."""
        persons, frames, joints = self.score.shape
        return f'{persons} persons, {frames} frames, {joints} joints'

    def rows(self) -> list[dict]:
        """First and last frame, number of frames and mean confidence of each person."""
        rows = []
        for person, score in enumerate(self.score):
            seen = score.any(1)
            if seen.any():
                first, last = self.frame[seen][[0, -1]]
                rows.append(dict(first=float(first), last=float(last), person=person,
                                 frames=int(seen.sum()), score=float(score[seen].mean())))
        return rows


class PersonInferencer(BaseInferencer):
    """Base class of tasks about single persons.

    Without options windows lie side by side and have ``seg_len`` frames of the test data set or,
    without these, ``model.backbone.max_frames``.
    """

    keeps_frames = True
    published = PublishedKeys(dataset=('seg_len', ))

    def make_windows(self, group, options) -> PersonWindows:
        """Windows of every person."""
        window = options.window or self.dataset.get('seg_len') or self.max_frames
        return PersonWindows(group[0].ann, window, options.stride)

    def join(self, name, values) -> list:
        """Windows of several lengths."""
        return values

    def common(self, group, windows) -> dict:
        """Also ``score``, ``layout`` and ``frame``."""
        ann = group[0].ann
        score = np.where(visible(ann), ann['keypoint_score'], 0).astype(np.float32)
        frame = ann.get('frame_inds', np.arange(ann['total_frames'])) / group[0].ratio
        return dict(super().common(group, windows), score=score, layout=self.layout.name,
                    frame=frame)
