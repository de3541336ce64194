"""Window data sets of 3D motion: Human3.6M with cameras, and motion capture without.

Recordings are cut into windows as in MotionBERT (arXiv 2210.06551, Sec. A.1). The arrays stay in
one block of memory, which the workers of a DataLoader share; a window is a row of frame indices.
"""

from collections.abc import Callable, Sequence

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init

from mofm.annotations import AnnotationError, file_error
from mofm.datasets import TrackWindowDataset
from mofm.registry import DATASETS
from mofm.structures import get_layout
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npz

from .files import (
    KeypointSplit,
    count_frames,
    missing_file,
    read_field,
    read_numbers,
    read_texts,
)

LAYOUT = get_layout('h36m17')
METAINFO = dict(layout=LAYOUT.name, left_kp=list(LAYOUT.left), right_kp=list(LAYOUT.right))


def resample(length: int, num_frames: int,
             rng: np.random.Generator | None = None) -> np.ndarray:
    """Sample frames evenly over a recording, with a generator at random around these positions.

    Args:
        length (int): T, frames of the recording.
        num_frames (int): n.
        rng (np.random.Generator, optional): For T < n, rounds each of the n positions up or down
            at random; else shifts it by U(0, T / n). None rounds down.

    Returns:
        np.ndarray: (n,) ascending indices in [0, T).
    """
    places = np.linspace(0, length, num_frames, endpoint=False)
    if rng is not None and length < num_frames:
        up = rng.integers(2, size=num_frames) == 1
        places = np.sort(np.where(up, np.ceil(places), places))
    elif rng is not None:
        places = places + rng.random(num_frames) * length / num_frames
    return np.minimum(places, length - 1).astype(np.int64)


def split_clips(lengths: Sequence[int], clip_len: int, stride: int,
                rng: np.random.Generator | None = None) -> np.ndarray:
    """Cut recordings into sliding windows; a shorter recording is resampled to one window.

    Args:
        lengths (Sequence[int]): Frames of the consecutive recordings.
        clip_len (int): n, frames of a window.
        stride (int): Frames between the starts of windows.
        rng (np.random.Generator, optional): See :func:`resample`.

    Returns:
        np.ndarray: (windows, n) indices into the frames of all recordings.
    """
    lengths = np.asarray(lengths)
    first = np.cumsum(lengths) - lengths
    count = np.maximum(lengths - clip_len, -stride) // stride + 1  # 0 for the shorter ones
    video = np.repeat(np.arange(len(lengths)), count)
    number = np.arange(len(video)) - np.repeat(np.cumsum(count) - count, count)
    start = first[video] + number * stride
    windows = start[:, None] + np.arange(clip_len)
    short = np.flatnonzero(count == 0)
    if not len(short):
        return windows
    extra = [first[i] + resample(lengths[i], clip_len, rng) for i in short]
    order = np.argsort(np.concatenate([video, short]), kind='stable')
    return np.concatenate([windows, extra])[order]


class ArrayWindowDataset(BaseDataset):
    """Base class of windows of recordings that are concatenated along the frame axis.

    A subclass sets :attr:`arrays` and :attr:`recordings` in :meth:`load_arrays`. Samples are
    windows of the arrays with the values of their recording, ``frame_inds`` (T,) within the file
    and ``sample_idx``.

    Args:
        ann_file (str): File with the recordings.
        pipeline (Sequence): Transforms, or configs of transforms.
        clip_len (int): Frames of a window.
        stride (int): Frames between the starts of windows; for Human3.6M 81 in training and 243
            in tests.
        seed (int): Seed of the one-time random resampling of recordings shorter than a window. In
            test mode they are resampled evenly.
        **kwargs: Arguments of mmengine's ``BaseDataset``, e.g. ``test_mode``, ``indices``.

    Attributes:
        arrays (dict[str, np.ndarray]): Values (N, ...) of all frames.
        recordings (dict[str, list]): Values of all V recordings.

    Raises:
        ValueError: If ``clip_len`` or ``stride`` is less than 1.
        AnnotationError: If the file is invalid.
    """

    METAINFO = METAINFO

    def __init__(self, ann_file: str, pipeline: Sequence[dict | Callable] = (),
                 clip_len: int = 243, stride: int = 81, seed: int = 0, **kwargs):
        for name, value in (('clip_len', clip_len), ('stride', stride)):
            if value < 1:
                raise ValueError(f'{name}: found {value}, expected at least 1')
        self.clip_len = clip_len
        self.stride = stride
        self.seed = seed
        super().__init__(ann_file, pipeline=pipeline, data_prefix={}, serialize_data=False,
                         **kwargs)

    def load_arrays(self) -> np.ndarray:
        """Set the attributes and return the lengths (V,) of the recordings."""
        raise NotImplementedError

    def load_data_list(self) -> np.ndarray:
        """Compute the frame indices (windows, clip_len) of every window."""
        lengths = self.load_arrays()
        self.index = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)  # of recordings
        rng = None if self.test_mode else np.random.default_rng(self.seed)
        return split_clips(lengths, self.clip_len, self.stride, rng)

    def _get_unserialized_subset(self, indices) -> np.ndarray:
        """Select windows, see mmengine."""
        return np.asarray(super()._get_unserialized_subset(indices))

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Return a copy of one window."""
        frames = self.data_list[idx]
        recording = self.index[frames[0]]
        return dict({key: array[frames] for key, array in self.arrays.items()},
                    **{key: values[recording] for key, values in self.recordings.items()},
                    frame_inds=frames.copy(), sample_idx=idx)


@DATASETS.register_module()
class Human36MDataset(ArrayWindowDataset):
    """Human3.6M or other recordings in its format: 2D keypoints and 3D labels in pixels.

    The file, e.g. ``h36m_sh_conf_cam_source_final.pkl``, is a pickle with one dict per split
    of concatenated recordings: ``joint_2d`` (N, 17, 2) px, ``confidence`` (N, 17[, 1]) (1 if
    absent), ``joint3d_image`` (N, 17, 3) px with z relative to the root, ``camera_name`` (N) and
    ``source`` (N), the recording and camera. Tests need ``action`` (N), ``2.5d_factor`` (N), mm
    per pixel at the depth of the root, and ``joints_2.5d_image`` (N, 17, 3), the labels in mm.
    Image sizes of cameras other than Human3.6M's are in ``cameras`` next to the splits,
    ``{name: (width, height)}``.

    The pipeline gets ``keypoint`` (T, 17, 2), ``keypoint_score`` (T, 17), ``keypoint_3d``
    (T, 17, 3), ``img_shape`` (h, w), ``source``, ``frame_inds`` (T,) within the split,
    ``sample_idx`` and, in test mode, ``action``, ``factor`` (T,) and ``target_3d`` (T, 17, 3) mm.

    Args:
        ann_file (str): Pickle file; only arrays and plain containers are unpickled.
        split (str): Key of the split, ``'train'`` or ``'test'``.
        **kwargs: Arguments of :class:`ArrayWindowDataset`.

    Raises:
        AnnotationError: If the file or a field is invalid.
    """

    def __init__(self, ann_file: str, split: str = 'train', **kwargs):
        self.split = split
        super().__init__(ann_file, **kwargs)

    def load_arrays(self) -> np.ndarray:
        """See the base class."""
        split = KeypointSplit(self.ann_file, self.split)
        self.arrays = dict(split.keypoints(),
                           keypoint_3d=split.numbers('joint3d_image', (17, 3)))
        self.recordings = dict(source=split.sources, img_shape=split.img_shapes())
        if self.test_mode:
            self.arrays.update(factor=split.numbers('2.5d_factor', ()),
                               target_3d=split.numbers('joints_2.5d_image', (17, 3)))
            self.recordings['action'] = split.texts('action')
        return split.lengths


@DATASETS.register_module()
class MotionCaptureDataset(ArrayWindowDataset):
    """3D joints without cameras, e.g. of AMASS, as written by ``tools/prepare_mocap.py``.

    The file is an ``.npz`` with ``keypoint_3d`` (N, 17, 3) in meters (x to the right, y down, z
    forward), ``length`` (V,), the frames of the concatenated recordings, and ``name`` (V,). The
    pipeline gets ``keypoint_3d`` (T, 17, 3), ``source``, ``frame_inds`` (T,) and ``sample_idx``;
    :class:`SyntheticKeypoints` adds the 2D input.
    """

    def load_arrays(self) -> np.ndarray:
        """See the base class."""
        try:
            data = read_npz(self.ann_file)
        except FileNotFoundError:
            raise missing_file(self.ann_file) from None
        except Exception as error:  # damaged bytes make the parser raise nearly anything
            raise AnnotationError(f'{self.ann_file}: cannot be read as .npz '
                                  f'({describe(error)}); make it again') from None
        count = count_frames(data, self.ann_file, 'keypoint_3d')
        self.arrays = dict(keypoint_3d=read_numbers(
            data, 'keypoint_3d', self.ann_file, [(count, 17, 3)]))
        length = read_field(data, 'length', self.ann_file)
        if length.dtype.kind not in 'iu' or length.ndim != 1 or not length.size or (
                length.min() < 1 or length.sum() != count):
            raise file_error(self.ann_file, 'length', f'{length.dtype} of shape {length.shape}',
                             f'positive integers that sum to {count}')
        names = read_texts(data, 'name', self.ann_file, len(length))
        self.recordings = dict(source=names.tolist())
        return length.astype(np.int64)


@DATASETS.register_module()
class LabeledTrackDataset(TrackWindowDataset):
    """Windows of tracks with enough labeled joints, the 2D data of the released pre-training.

    A large ``stride`` leaves the first window of each track.

    Args:
        *args, **kwargs: Arguments of :class:`TrackWindowDataset`.
        min_joints (float): Sum of the scores of a frame, without pelvis and spine, which are means
            of others, that the mean over a window must exceed. Defaults to 0.
        pelvis_frames (int, optional): First frames of a window in which the pelvis must be
            labeled. Defaults to all.

    Raises:
        AnnotationError: See :class:`TrackWindowDataset`; also if no window is labeled enough.
    """

    def __init__(self, *args, min_joints: float = 0, pelvis_frames: int | None = None, **kwargs):
        self.min_joints = min_joints
        self.pelvis_frames = pelvis_frames
        super().__init__(*args, **kwargs)

    def _cut(self) -> np.ndarray:
        """Return track and first row (N, 2) of each window that is labeled enough."""
        windows = super()._cut()
        pelvis = LAYOUT.joints.index('pelvis')
        single = np.delete(np.arange(LAYOUT.num_joints), [pelvis, LAYOUT.joints.index('spine')])
        keep = np.zeros(len(windows), bool)
        for i, (row, size) in enumerate(zip(windows[:, 1], self.num_rows(windows), strict=True)):
            score = self.tracks.score[row:row + size].astype(float)  # (T, 17)
            keep[i] = (score[:, single].sum() / size > self.min_joints
                       and score[:self.pelvis_frames, pelvis].all())
        if not keep.any():
            raise AnnotationError(
                f'{self.ann_file}, split {self.split!r}: none of {len(keep)} windows has a pelvis '
                f'in its first {self.pelvis_frames or self.seg_len} frames, and more than '
                f'{self.min_joints} joints a frame')
        return windows[keep]
