"""Windows of recordings."""
from typing import List, Optional

import numpy as np

from mofm.datasets.annotation import SCORE_THRESHOLD, AnnotationError, Problem
from mofm.datasets.track_windows import TrackWindowDataset


def visible(ann: dict) -> np.ndarray:
    """(M, T, V) joints that are there."""
    return (ann['keypoint_score'] >= SCORE_THRESHOLD) & ann['keypoint'].any(-1)


class ClipWindows:
    """Runs of frames with all persons; the last one ends with the recording.

    Windows in which nobody is visible are left out.

    Args:
        ann (dict): A valid annotation.
        window (int, optional): Frames of a window. None, or more than there are: all in one.
        stride (int, optional): Frames between the starts of two windows. None is half a window.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window.

    Raises:
        AnnotationError: If no window is left, which takes a stride of more than a window.
    """

    def __init__(self, ann: dict, window: Optional[int] = None, stride: Optional[int] = None):
        total = ann['total_frames']
        self._size = min(window or total, total)
        last = total - self._size
        starts = np.append(np.arange(0, last, stride or max(self._size // 2, 1)), last)
        seen = np.append(0, visible(ann).any((0, 2)).cumsum())
        self._starts = starts[seen[starts + self._size] > seen[starts]]
        if not len(self._starts):
            raise AnnotationError(Problem(
                ann['frame_dir'], None, 'windows', f'nobody in any of {len(starts)}',
                f'a person; take a smaller stride than {stride}'))
        inds = ann.get('frame_inds', np.arange(total))
        self.frames = inds[self._starts[:, None] + (0, self._size - 1)]
        self._ann = ann

    def __len__(self) -> int:
        return len(self._starts)

    def get_data_info(self, idx: int) -> dict:
        """One window as an annotation."""
        rows = slice(self._starts[idx], self._starts[idx] + self._size)
        return dict(frame_dir=self._ann['frame_dir'], img_shape=self._ann['img_shape'],
                    total_frames=self._size, keypoint=self._ann['keypoint'][:, rows],
                    keypoint_score=self._ann['keypoint_score'][:, rows])


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

    def __init__(self, name: str, annotations: List[dict], **rules):
        self._annotations = annotations
        super().__init__(name, test_mode=True, **rules)
        tracks, (track, row) = self._tracks, self.data_list.T
        size = self._size(self.data_list)
        self.frames = np.stack([tracks.frame[row], tracks.frame[row + size - 1]], 1)
        self.frame = tracks.frame[row] + size // 2
        self.track_id = tracks.track_id[track]

    def load_data_list(self) -> np.ndarray:
        """See :class:`TrackWindowDataset`."""
        self._tracks = self._join(list(self._annotations))
        return self._cut()
