"""Windows of recordings."""

from dataclasses import dataclass

import numpy as np

from mofm.annotations import file_error
from mofm.structures import visible_joints
from mofm.utils.checks import is_int, require

_LONG, _CUT = 10, 2  # seconds


@dataclass(frozen=True)
class WindowOptions:
    """Options of cutting recordings into windows; a task has its own defaults.

    Args:
        window (int, optional): Frames of a window at the frame rate of the model; the last one
            ends with the recording. None makes the whole recording one clip, from which the
            pipeline samples evenly, except in tasks whose config defines the length of a window.
        stride (int, optional): Frames between the starts of two windows. By default half a
            window, or the stride of the task's config.
        cut_long (bool): Cut a recording of more than 10 seconds that would be one clip, of which
            the model sees a few frames, into windows of 2 seconds. Defaults to False.

    Raises:
        ValueError: If ``window`` or ``stride`` is not a positive integer.
    """

    window: int | None = None
    stride: int | None = None
    cut_long: bool = False

    def __post_init__(self):
        for name in ('window', 'stride'):
            value = getattr(self, name)
            require(value is None or is_int(value, 1), self, name, value,
                    'an integer of at least 1')

    def frames(self, total: int, fps: float | None) -> int | None:
        """Return the frames of a window of a clip of ``total`` frames at ``fps``, if known."""
        if self.window is None and self.cut_long and fps and total > _LONG * fps:
            return max(round(_CUT * fps), 1)
        return self.window


def visible(ann: dict) -> np.ndarray:
    """Find (M, T, V) visible joints."""
    return visible_joints(ann['keypoint'], ann['keypoint_score'])


class ClipWindows:
    """Windows of frames with all persons; the last one ends with the recording.

    Windows without a visible person are skipped.

    Args:
        ann (dict): A valid annotation.
        window (int, optional): Frames of a window, by default and at most those of the recording.
        stride (int, optional): Frames between two starts, by default half a window.

    Attributes:
        frames (np.ndarray): (W, 2) first and last frame of each window.
        starts (np.ndarray): (W,) first row of each window.
        size (int): Rows of a window.

    Raises:
        AnnotationError: If no window is left, possible with a stride of more than a window.
    """

    def __init__(self, ann: dict, window: int | None = None, stride: int | None = None):
        total = ann['total_frames']
        self.size = min(window or total, total)
        last = total - self.size
        starts = np.append(np.arange(0, last, stride or max(self.size // 2, 1)), last)
        seen = np.append(0, visible(ann).any((0, 2)).cumsum())
        self.starts = starts[seen[starts + self.size] > seen[starts]]
        if not len(self.starts):
            raise file_error(ann['frame_dir'], 'windows', f'no person in any of {len(starts)}',
                             f'a person; use a smaller stride than {stride}')
        inds = ann.get('frame_inds', np.arange(total))
        self.frames = inds[self.starts[:, None] + (0, self.size - 1)]
        self._ann = ann

    def __len__(self) -> int:
        return len(self.starts)

    def get_data_info(self, idx: int) -> dict:
        """Return one window as an annotation."""
        rows = slice(self.starts[idx], self.starts[idx] + self.size)
        return dict(frame_dir=self._ann['frame_dir'], img_shape=self._ann['img_shape'],
                    total_frames=self.size, keypoint=self._ann['keypoint'][:, rows],
                    keypoint_score=self._ann['keypoint_score'][:, rows])
