"""Windows of untrimmed recordings with the actions of every frame."""

import logging
from collections import Counter

import numpy as np
from mmengine.logging import print_log

from mofm.annotations import AnnotationError, Problem, summarize
from mofm.datasets.frame_windows import cut_window, window_starts
from mofm.datasets.window_dataset import WindowDataset
from mofm.registry import DATASETS
from mofm.structures import visible_joints


def label_segments(frame_label: np.ndarray, frame_inds: np.ndarray) -> np.ndarray:
    """Convert labels of frames to segments.

    Args:
        frame_label (np.ndarray): (T,) or (M, T) label of each row; below 0 none.
        frame_inds (np.ndarray): (T,) video frame of each row.

    Returns:
        np.ndarray: (N, 3) label, first and last frame; the persons are merged.
    """
    frame_label = np.atleast_2d(frame_label)
    segments = [np.zeros((0, 3), np.int64)]
    for label in np.unique(frame_label[frame_label >= 0]):
        first, last = runs((frame_label == label).any(0))
        segments.append(np.stack([np.full(len(first), label), frame_inds[first],
                                  frame_inds[last]], 1))
    return np.concatenate(segments)


def runs(active: np.ndarray) -> tuple:
    """Find the runs of true values in (T,) bool: first and last indices, (N,) each."""
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False)).reshape(-1, 2)
    return edges[:, 0], edges[:, 1] - 1


@DATASETS.register_module()
class UntrimmedDataset(WindowDataset):
    """Windows of S consecutive frames of the video, with all its persons.

    Windows start at frames 0, ``stride``, ... until one reaches the end of the recording, and are
    padded behind it. Frames without a row in the annotation have no person. Training skips
    windows without a visible joint.

    Actions are read from ``segments`` or, without these, from ``frame_label`` (-1 is no action); a
    recording with neither has none. Unknown labels are an error, see ``skip_labels`` of
    :class:`MotionDataset`.

    The pipeline gets ``keypoint`` (M, S, V, C) and ``keypoint_score`` (M, S, V) float32,
    ``total_frames`` S, ``img_shape``, ``frame_dir``, ``sample_idx`` and

    ================= ===============================================================
    ``frame``         first frame of the window
    ``num_frames``    frames of the recording
    ``valid``         (S,) bool, false for padding
    ``frame_targets`` (S, K) bool, actions of each frame
    ``segments``      (N, 3) label, first and last frame of all actions of the recording
    ================= ===============================================================

    Args:
        ann_file (str): Annotations, see :mod:`mofm.annotations.files`.
        window (int): S. Defaults to 300.
        stride (int, optional): Frames between the starts of two windows, at most S. Defaults to
            S, windows that do not overlap.
        strict_ends (bool): Exclude the first and last frame of each segment from the targets, as
            in the evaluation of TSU. Defaults to False.
        **kwargs: ``pipeline``, ``split``, ``num_classes`` (K, if the file does not name the
            classes), ``on_error``, ``test_mode`` and the other arguments of
            :class:`MotionDataset`. ``serialize_data`` has no effect.

    Attributes:
        recordings (list[dict]): Annotations with ``frame_inds`` and ``segments``.

    Raises:
        AnnotationError: See :class:`MotionDataset`; also if the number of classes is unknown, or
            no recording has actions.
        ValueError: If window or stride is out of range.
    """

    def __init__(self,
                 ann_file: str,
                 window: int = 300,
                 stride: int | None = None,
                 strict_ends: bool = False,
                 **kwargs):
        stride = window if stride is None else stride
        window_starts(window, window, stride)  # before the file is read
        if kwargs.get('classes') is not None:
            raise ValueError(f'classes: found {kwargs["classes"]}, expected None; choose actions '
                             'when the annotation file is made')
        self.window = window
        self.stride = stride
        self.strict_ends = strict_ends
        super().__init__(ann_file, **kwargs)

    def cut(self, annotations: list[dict]) -> np.ndarray:
        """Cut the recordings into windows (N, 2): index of the recording, first frame."""
        where = f'{self.ann_file}, split {self.split!r}'
        if self.num_classes is None:
            raise AnnotationError(f'{where}: found no names of classes, expected these in the '
                                  'file; or set num_classes or class_names')
        if not any({'segments', 'frame_label'} & ann.keys() for ann in annotations):
            raise AnnotationError(f'{where}: none of {len(annotations)} annotations has segments '
                                  'or frame_label, expected the actions of untrimmed recordings')
        before = len(self.problems)
        unknown: Counter[int] = Counter()
        self.recordings = [ann for ann in annotations if self._name_actions(ann, unknown)]
        self.check_labels(unknown)
        bad = self.problems[before:]
        if bad:
            self.skipped = f'{where}: skipped {len(bad)} of {len(annotations)} recordings'
            print_log(f'{self.skipped}:\n{summarize(bad)}', 'current', logging.WARNING)
        windows = [self._cut(i, ann) for i, ann in enumerate(self.recordings)]
        if not sum(map(len, windows)):
            raise AnnotationError(f'{where}: none of {len(annotations)} recordings has a window '
                                  f'with a person\n{summarize(bad)}')
        return np.concatenate(windows)

    def _name_actions(self, ann: dict, unknown: Counter) -> bool:
        """Set frame numbers and segments of a recording; count an unknown label, return False."""
        field = 'segments' if 'segments' in ann else 'frame_label'
        label = ann[field][:, 0] if 'segments' in ann else ann.get(field, np.array([-1]))
        low = 0 if 'segments' in ann else -1
        wrong = label[(label < low) | (label >= self.num_classes)]
        if len(wrong):
            unknown[int(wrong[0])] += 1
            self.report(Problem(self.ann_file, None, f'{field} of {ann["frame_dir"]!r}',
                                f'label {wrong[0]}', f'labels in [{low}, {self.num_classes})'))
            return False
        inds = ann.setdefault('frame_inds', np.arange(ann['total_frames']))
        if 'segments' not in ann:
            ann['segments'] = label_segments(ann.get('frame_label', np.full(len(inds), -1)), inds)
        return True

    def _cut(self, number: int, ann: dict) -> np.ndarray:
        """Return the windows of a recording (N, 2): its index, first frame."""
        inds = ann['frame_inds']
        first = window_starts(int(inds[-1]) + 1, self.window, self.stride)
        if not self.test_mode:
            seen = visible_joints(ann['keypoint'], ann.get('keypoint_score'))
            seen = inds[seen.any((0, 2))]
            first = first[np.searchsorted(seen, first)
                          < np.searchsorted(seen, first + self.window)]
        return np.stack([np.full(len(first), number), first], 1).astype(np.int32)

    def get_window(self, number: int, start: int) -> dict:
        """Return the sample of a window, see the class docstring."""
        ann = self.recordings[number]
        window = cut_window(ann, start, self.window)
        frames = start + np.arange(self.window)
        return dict(window, segments=ann['segments'],
                    frame_targets=self._targets(ann['segments'], frames, window['valid']))

    def _targets(self, segments: np.ndarray, frames: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Return the actions (S, K) bool of frames (S,); none where not valid (S,)."""
        label, first, last = segments.T
        active = ((frames[:, None] >= first + self.strict_ends)
                  & (frames[:, None] <= last - self.strict_ends) & valid[:, None])  # (S, N)
        row, number = active.nonzero()
        targets = np.zeros((len(frames), self.num_classes), bool)
        targets[row, label[number]] = True
        return targets
