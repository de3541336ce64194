"""Windows of recordings."""

import numpy as np

from mofm.annotations import AnnotationError, Problem
from mofm.datasets.frame_windows import cut_window, window_starts
from mofm.datasets.track_windows import TrackWindowDataset
from mofm.structures import visible_joints


def visible(ann: dict) -> np.ndarray:
    """(M, T, V) joints that are there."""
    return visible_joints(ann['keypoint'], ann['keypoint_score'])


class ClipWindows:
    """Runs of frames with all persons; the last one ends with the recording.

    Windows in which nobody is visible are left out.

    Args:
        ann (dict): A valid annotation.
        window (int, optional): Frames of a window. None, or more than there are: all in one.
        stride (int, optional): Frames between the starts of two windows. None is half a window.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window.
        starts (np.ndarray): (W,) first row of each window.
        size (int): Rows of a window.

    Raises:
        AnnotationError: If no window is left, which takes a stride of more than a window.
    """

    def __init__(self, ann: dict, window: int | None = None, stride: int | None = None):
        total = ann['total_frames']
        self.size = min(window or total, total)
        last = total - self.size
        starts = np.append(np.arange(0, last, stride or max(self.size // 2, 1)), last)
        seen = np.append(0, visible(ann).any((0, 2)).cumsum())
        self.starts = starts[seen[starts + self.size] > seen[starts]]
        if not len(self.starts):
            raise AnnotationError(Problem(
                ann['frame_dir'], None, 'windows', f'nobody in any of {len(starts)}',
                f'a person; take a smaller stride than {stride}'))
        inds = ann.get('frame_inds', np.arange(total))
        self.frames = inds[self.starts[:, None] + (0, self.size - 1)]
        self._ann = ann

    def __len__(self) -> int:
        return len(self.starts)

    def get_data_info(self, idx: int) -> dict:
        """One window as an annotation."""
        rows = slice(self.starts[idx], self.starts[idx] + self.size)
        return dict(frame_dir=self._ann['frame_dir'], img_shape=self._ann['img_shape'],
                    total_frames=self.size, keypoint=self._ann['keypoint'][:, rows],
                    keypoint_score=self._ann['keypoint_score'][:, rows])


class FrameWindows:
    """Runs of consecutive frames of the video with all persons, padded behind its end.

    Args:
        ann (dict): A valid annotation.
        window (int, optional): Frames of a window. None makes them all one.
        stride (int, optional): Frames between the starts of two windows, at most a window, the
            default.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window, without padding.

    Raises:
        ValueError: If the stride is out of range.
    """

    def __init__(self, ann: dict, window: int | None = None, stride: int | None = None):
        inds = ann.get('frame_inds', np.arange(ann['total_frames']))
        num_frames = int(inds[-1]) + 1
        window = window or num_frames
        starts = window_starts(num_frames, window, stride or window)
        self.frames = np.stack([starts, np.minimum(starts + window - 1, inds[-1])], 1)
        self._ann = dict(ann, frame_inds=inds)
        self._size = window

    def __len__(self) -> int:
        return len(self.frames)

    def get_data_info(self, idx: int) -> dict:
        """One window, see :func:`cut_window`."""
        return cut_window(self._ann, int(self.frames[idx, 0]), self._size)


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


class TrackWindows(TrackWindowDataset):
    """The windows of :class:`TrackWindowDataset` in annotations that are in memory.

    Args:
        name (str): The video, for messages.
        annotations (list[dict]): Valid annotations of one video.
        **rules: ``seg_len``, ``stride``, ``max_missing`` and ``min_len``.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window.
        frame (np.ndarray): (W,) frame that each counts for.
        track_id (np.ndarray): (W,) its person.

    Raises:
        AnnotationError: If no track is long enough.
    """

    def __init__(self, name: str, annotations: list[dict], **rules):
        self._annotations = annotations
        super().__init__(name, test_mode=True, **rules)
        tracks, (track, row) = self.tracks, self.data_list.T
        size = self.num_rows(self.data_list)
        self.frames = np.stack([tracks.frame[row], tracks.frame[row + size - 1]], 1)
        self.frame = tracks.frame[row] + size // 2
        self.track_id = tracks.track_id[track]

    def read_annotations(self) -> list[dict]:
        """See the base class."""
        return list(self._annotations)
