"""Windows of per-person tracks for tasks on untrimmed video such as anomaly detection.

The protocol is that of STG-NF (Hirschorn and Avidan, ICCV 2023) and its predecessors.
"""
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.logging import print_log

from mofm.annotations import AnnotationError, person_ids
from mofm.registry import DATASETS
from mofm.structures import visible_joints

from .window_dataset import WindowDataset


@dataclass(frozen=True)
class Tracks:
    """R concatenated rows of all tracks in arrays that workers share."""

    clips: list[str]
    clip: np.ndarray  # (N,) index in clips
    track_id: np.ndarray  # (N,)
    img_shape: np.ndarray  # (N, 2)
    start: np.ndarray  # (N,) first row
    length: np.ndarray  # (N,)
    keypoint: np.ndarray  # (R, 17, 2)
    score: np.ndarray  # (R, 17)
    frame: np.ndarray  # (R,)
    abnormal: np.ndarray  # (R,) bool

    def __deepcopy__(self, memo):
        return self  # read-only, so that subsets of a data set need no copy


@DATASETS.register_module()
class TrackWindowDataset(WindowDataset):
    """Windows of consecutive frames of one person.

    A track consists of the rows of one person of an annotation with a visible joint. A track of T
    > ``seg_len`` rows has ceil((T - seg_len) / stride) windows of ``seg_len`` rows, at rows 0,
    stride, ...; one of ``min_len <= T <= seg_len`` rows has one window of all of them, resampled
    to ``seg_len`` rows; ``min_len=seg_len + 1`` is exactly STG-NF. A window of L distinct rows
    that starts at frame k scores frame k + L // 2.

    With S = ``seg_len``, the pipeline receives ``keypoint`` (1, S, 17, 2) float32,
    ``keypoint_score`` (1, S, 17) float32, ``total_frames`` S, ``img_shape``, ``label`` (1
    abnormal, 0 normal), ``clip`` (also as ``frame_dir``), ``track_id``, ``frame`` and
    ``sample_idx``.

    Args:
        ann_file (str): Annotations, see :mod:`mofm.annotations.files`, with the optional fields
            ``clip``, ``track_id``, ``frame_inds`` and ``frame_label``.
        seg_len (int): Rows of a window. Defaults to 48.
        stride (int): Rows between the starts of two windows. Defaults to 1.
        max_missing (int): Maximum number of missing frames among the first L frames of a window.
            Defaults to 2.
        min_len (int): Minimum length of a track. Defaults to 24.
        abnormal_labels (Sequence[int]): Abnormal values of ``frame_label``. Rows without a label
            are normal. Defaults to (1,).
        normal_only (bool): Skip windows with any abnormal row. Defaults to False.
        label_at (str): Row that determines the label of a window, ``'center'`` (row L // 2) or
            ``'start'``, as STG-NF for UBnormal. Defaults to ``'center'``.
        balance (float, optional): Minimum ratio of abnormal to normal windows, reached by
            repetition. Defaults to None, no repetition.
        **kwargs: ``pipeline``, ``split``, ``layout``, ``on_error``, ``test_mode`` and the other
            arguments of :class:`MotionDataset`. ``serialize_data`` has no effect, as workers
            always share the memory of tracks.

    Attributes:
        tracks (Tracks): All tracks.
        empty_clips (list[str]): Clips without a window.

    Raises:
        AnnotationError: See :class:`MotionDataset`; also if there is no window, or no abnormal one
            to balance.
    """

    def __init__(self,
                 ann_file: str,
                 seg_len: int = 48,
                 stride: int = 1,
                 max_missing: int = 2,
                 min_len: int = 24,
                 abnormal_labels: Sequence[int] = (1, ),
                 normal_only: bool = False,
                 label_at: str = 'center',
                 balance: float | None = None,
                 **kwargs):
        for name, value, low in (('seg_len', seg_len, 1), ('stride', stride, 1),
                                 ('min_len', min_len, 1), ('max_missing', max_missing, 0)):
            if value < low:
                raise ValueError(f'{name}: found {value}, expected at least {low}')
        if label_at not in ('center', 'start'):
            raise ValueError(f"label_at: found {label_at!r}, expected 'center' or 'start'")
        if balance is not None and balance <= 0:
            raise ValueError(f'balance: found {balance}, expected a positive ratio or None')
        self.seg_len = seg_len
        self.stride = stride
        self.max_missing = max_missing
        self.min_len = min_len
        self.abnormal_labels = tuple(abnormal_labels)
        self.normal_only = normal_only
        self.label_at = label_at
        self.balance = balance
        self.empty_clips: list[str] = []
        super().__init__(ann_file, **kwargs)

    def cut(self, annotations: list[dict]) -> np.ndarray:
        """Cut the tracks of the annotations and return track and first row (N, 2) per window."""
        self.tracks = self._join(annotations)
        self._metainfo['classes'] = ['normal', 'abnormal']
        windows = self._cut()
        counts = np.bincount(self.tracks.clip[windows[:, 0]], minlength=len(self.tracks.clips))
        self.empty_clips = [self.tracks.clips[i] for i in np.flatnonzero(counts == 0)]
        if self.empty_clips:
            print_log(f'{self.ann_file}, split {self.split!r}: {len(self.empty_clips)} of '
                      f'{len(counts)} clips have no window, e.g. {self.empty_clips[:5]}',
                      'current', logging.WARNING)
        if self.balance is not None:
            abnormal = self._labels(windows)
            if not abnormal.any():
                raise AnnotationError(
                    f'{self.ann_file}, split {self.split!r}: balance={self.balance} requires '
                    'abnormal windows, but no frame_label is in abnormal_labels='
                    f'{self.abnormal_labels}')
            times = np.ceil(self.balance * (~abnormal).sum() / abnormal.sum())
            windows = windows.repeat(np.where(abnormal, max(int(times), 1), 1), axis=0)
        self.label_counts = Counter(self._labels(windows).astype(int).tolist())
        return windows

    def _join(self, annotations: list[dict]) -> Tracks:
        """Join the tracks of all annotations, freeing their dense arrays."""
        clips, parts, tracks = {}, [], []
        annotations.reverse()
        while annotations:
            ann = annotations.pop()
            keypoint, score = ann['keypoint'], ann['keypoint_score']
            seen = visible_joints(keypoint, score).any(-1)  # (M, T)
            _, row = np.nonzero(seen)  # sorted by person
            frame = ann.get('frame_inds', np.arange(ann['total_frames'])).astype(np.int32)
            abnormal = 'frame_label' in ann and np.isin(ann['frame_label'], self.abnormal_labels)
            parts.append((keypoint[seen], score[seen], frame[row],
                          np.broadcast_to(abnormal, seen.shape)[seen]))
            clip = clips.setdefault(ann.get('clip', ann['frame_dir']), len(clips))
            tracks += [(clip, person, *ann['img_shape'], length)
                       for person, length in zip(person_ids(ann), seen.sum(1), strict=True)
                       if length]
        keypoint, score, frame, abnormal = map(np.concatenate, zip(*parts, strict=True))
        tracks = np.array(tracks, np.int64).reshape(-1, 5)
        length = tracks[:, 4]
        return Tracks(list(clips), tracks[:, 0], tracks[:, 1], tracks[:, 2:4],
                       np.cumsum(length) - length, length, keypoint, score, frame, abnormal)

    def _cut(self) -> np.ndarray:
        """Return track and first row (N, 2) of each window."""
        tracks, where = self.tracks, f'{self.ann_file}, split {self.split!r}'
        length = tracks.length
        count = np.where(length > self.seg_len, -(-(length - self.seg_len) // self.stride),
                         (length >= self.min_len).astype(int))  # (tracks,)
        if not count.any():
            raise AnnotationError(
                f'{where}: none of {len(length)} tracks is long enough for a window with '
                f'seg_len={self.seg_len} and min_len={self.min_len}, the longest has '
                f'{length.max(initial=0)} frames')
        track = np.repeat(np.arange(len(count)), count)
        first = np.cumsum(count) - count
        row = tracks.start[track] + (np.arange(len(track)) - first[track]) * self.stride
        size = np.minimum(length[track], self.seg_len)
        # Frames ascend, so the row max_missing before the last one is sufficient.
        last = row + np.maximum(size - 1 - self.max_missing, 0)
        keep = tracks.frame[last] < tracks.frame[row] + size
        gaps = len(keep) - keep.sum()
        if self.normal_only:
            before = np.concatenate([[0], np.cumsum(tracks.abnormal)])
            keep &= before[row + size] == before[row]
        if not keep.any():
            raise AnnotationError(
                f'{where}: none of {len(keep)} windows is left; {gaps} miss more than '
                f'max_missing={self.max_missing} frames' +
                (', the others have abnormal rows (normal_only=True)' if self.normal_only else ''))
        return np.stack([track, row], axis=1)[keep].astype(np.int32)

    def num_rows(self, windows: np.ndarray) -> np.ndarray:
        """Return the number of rows of windows (..., 2): seg_len, or all of a short track."""
        return np.minimum(self.tracks.length[windows[..., 0]], self.seg_len)

    def _labels(self, windows: np.ndarray) -> np.ndarray:
        """Return whether windows (..., 2) are abnormal."""
        offset = self.num_rows(windows) // 2 if self.label_at == 'center' else 0
        return self.tracks.abnormal[windows[..., 1] + offset]

    def get_window(self, number: int, start: int) -> dict:
        """Return the sample of one window, see the class."""
        tracks, window = self.tracks, np.array([number, start])
        size = int(self.num_rows(window))
        clip = tracks.clips[tracks.clip[number]]
        rows = start + np.linspace(0, size - 1, self.seg_len).round().astype(int)
        return dict(
            keypoint=tracks.keypoint[None, rows].astype(np.float32),
            keypoint_score=tracks.score[None, rows].astype(np.float32),
            total_frames=self.seg_len,
            img_shape=tuple(tracks.img_shape[number].tolist()),
            label=int(self._labels(window)),
            frame_dir=clip,
            clip=clip,
            track_id=int(tracks.track_id[number]),
            frame=int(tracks.frame[start]) + size // 2)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the label of one window as a list, for ``ClassBalancedDataset``."""
        num_windows = len(self) // self.repeat
        return [int(self._labels(self.data_list[idx % num_windows]))]


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
