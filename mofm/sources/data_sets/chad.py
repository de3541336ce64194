"""Tracked poses of the anomaly sets CHAD, PHEVA and PoseLift, a pickle per video.

``<camera>_<video>.pkl`` is ``{frame: {person: [box, keypoints]}}`` with the box as x, y, width and
height and the joints of COCO as x, y and confidence, flat or (17, 3); in CHAD an array of these
two objects. ``<camera>_<video>.npy`` has 0 or 1, for abnormal, per frame of the video.
"""
import io
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from mofm.annotations import AnnotationError
from mofm.annotations.unpickling import CONSTRUCTORS, Constructor, RestrictedUnpickler, set_array
from mofm.registry import SOURCES
from mofm.utils.checks import describe, show
from mofm.utils.untrusted import read_npy, to_array

from ..base import Item, Source
from ..per_frame_poses import MAX_SCORE
from ..recognition import Sample

# Lists of a split; without a number it is the first protocol.
_SPLIT_LIST = re.compile(r'(train|test)(?:ing)?(?:_split)?(?:_?([12]))?\.txt', re.IGNORECASE)
_FOLDERS = dict(train='train', training='train', test='test', testing='test')


class _Labels(Source):
    suffix = '.npy'


class AnomalyVideos(Source):
    """Base class of the readers, with one annotation per person, ``<video>/<person>``.

    An annotation has M = 1, ``clip``, ``track_id``, ``frame_inds``, ``box`` and, if the video has
    labels, ``frame_label``: those of the video, whoever acts abnormally. NaN is a missing joint.

    Splits are ``train`` (normal) and ``test``, those of the lists ``{train,test}_split_1.txt`` in
    the path or of the folders ``Train`` and ``Test``; and with abnormal videos in both
    ``supervised_train`` and ``supervised_test``, those of ``{train,test}_split_2.txt``. Without
    these lists, which is noted, ``train`` and three of five test videos, in the order of their
    numbers, are for training.

    Args:
        path (str or Path): Folder or archive with the pickles, the lists if there are any, and the
            labels.
        strict (bool): Raise at the first invalid file instead of skipping it.
        gt (str or Path, optional): Folder or archive of the labels if they are elsewhere.
        img_shape (tuple[int, int], optional): Height and width of the videos, which the files
            lack.
        first_frame (int): Number of the first frame of a video.

    Raises:
        AnnotationError: If the paths have no such files.
    """

    suffix = '.pkl', '.pickle'
    companions = '*.npy', 'train*.txt', 'test*.txt'
    max_size = 2**29
    classes = ('normal', 'abnormal')
    img_shape: tuple[int, int] = (1080, 1920)
    #: Form of the names.
    video_name = re.compile(r'\d{1,3}_\d{1,5}')

    def __init__(self, path: str | Path, strict: bool = False, gt: str | Path | None = None,
                 img_shape: tuple[int, int] | None = None, first_frame: int | None = None):
        super().__init__(path, strict)
        self.gt = _Labels(gt) if gt else self
        self.size = img_shape and tuple(img_shape)
        self.first_frame = first_frame
        self.test_clips = {self.clip(name) for name in self.files if self.folder(name) == 'test'}
        #: Splits by video of the lists in the path, for each protocol that has lists.
        self.listed_splits = self._read_splits()
        self.label_files: dict[str, list[str]] = {}
        for name in self.gt.tree.names:
            if self.gt.tree.filename(name).lower().endswith('.npy'):
                stem = PurePosixPath(self.gt.tree.filename(name)).stem
                self.label_files.setdefault(stem, []).append(name)

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--gt', help='folder or archive of the .npy labels if elsewhere')
        parser.add_argument('--img-shape', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                            help='size of the videos')
        parser.add_argument('--first-frame', type=int, choices=(0, 1),
                            help='number of the first frame of a video (default: 0)')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`; PHEVA and PoseLift differ in the names of folders only."""
        place = f'{sample.tree.path.name}/{sample.name}'.lower()
        others = {'chad', 'pheva', 'poselift'} - {cls.__name__.lower()}
        if (sample.head[:1] == b'\x80' and not sample.contains(b'total_frames')
                and cls.video_name.fullmatch(PurePosixPath(sample.filename).stem)
                and not any(other in place for other in others)):
            return f'a pickle that is named as the videos of {cls.__name__}'
        return None

    # -------------------------------------------------------------------------------- protocol
    def clip(self, name: str) -> str:
        """Return the video of a pickle."""
        return PurePosixPath(self.tree.filename(name)).stem

    def _read_splits(self) -> dict[str, dict[str, list[str]]]:
        """Read the splits by protocol, ``'1'`` or ``'2'``, and video from the lists."""
        splits: dict[str, dict[str, list[str]]] = {}
        videos = {self.clip(name) for name in self.files}
        for name in filter(None, self.tree.names):
            match = _SPLIT_LIST.fullmatch(PurePosixPath(name).name)
            if match is None:
                continue
            try:
                lines = self.file_content(name).decode('utf-8-sig').splitlines()
            except UnicodeDecodeError as error:
                raise self.error(name, 'file', describe(error), 'names of videos') from None
            files = [re.split(r'[\\/]', line.strip())[-1] for line in lines if line.strip()]
            named = [re.sub(r'\.(mp4|avi|pkl|pickle|npy)$', '', file, flags=re.IGNORECASE)
                     for file in files]
            unknown = [video for video in named if video not in videos]
            if unknown:
                self.note(name, f'{len(unknown)} lines of a list of a split name no pickle here, '
                          f'e.g. {show(unknown[0])}')
            listed = splits.setdefault(match[2] or '1', {})
            for video in named:
                listed.setdefault(video, []).append(match[1].lower())
        return {key: {video: sorted(set(titles)) for video, titles in listed.items()}
                for key, listed in splits.items()}

    def folder(self, name: str) -> str | None:
        """Return the split that a folder around a pickle names."""
        folders = (self.path.absolute().parts[-2:-1] if self.tree.is_file else
                   (self.path.absolute().stem, *PurePosixPath(name).parts[:-1]))
        return next((_FOLDERS[folder.lower()] for folder in reversed(folders)
                     if folder.lower() in _FOLDERS), None)

    def splits(self, name: str) -> tuple[str, ...]:
        """Return the splits of a pickle.

        Raises:
            AnnotationError: If neither lists nor folders have them.
        """
        clip, lists = self.clip(name), self.listed_splits
        first = self._first_splits(name)
        if '2' in lists:
            second = lists['2'].get(clip, [])
        else:
            second = [('test' if name in self._supervised_test else 'train')] if first else []
            self.note(name, 'supervised_train and supervised_test have no lists: train and three '
                      'of five test videos are for training')
        if lists and not first and not second:
            self.note(name, 'videos in no list of a split are in no split')
        return (*first, *(f'supervised_{split}' for split in second))

    def _first_splits(self, name) -> list[str]:
        """Return the splits of the first protocol."""
        if '1' in self.listed_splits:
            return self.listed_splits['1'].get(self.clip(name), [])
        folder = self.folder(name)
        if folder is None and not self.listed_splits:
            raise self.error(name, 'split', 'neither lists nor a folder of it',
                             'train_split_1.txt, ... in the path, or folders Train and Test')
        return [folder] if folder else []

    @cached_property
    def _supervised_test(self) -> set[str]:
        """Test videos of the supervised protocol without lists."""
        test = sorted((name for name in self.files if 'test' in self._first_splits(name)),
                      key=lambda name: (list(map(int, re.findall(r'\d{1,9}', self.clip(name)))),
                                        name))
        return {name for i, name in enumerate(test) if i % 5 in (1, 3)}

    def labels(self, name: str) -> np.ndarray | None:
        """Read the labels (T,) bool of the video of a pickle; None without a file of them."""
        parts = PurePosixPath(name).parts
        found = []
        for file in self.label_files.get(self.clip(name), []):
            if self.folder(file) not in (None, self.folder(name)):
                continue
            others = PurePosixPath(file).parts
            common = sum(all(a == b for a, b in zip(parts[:i], others[:i], strict=True))
                         for i in range(1, min(len(parts), len(others))))
            found.append((-common, len(others), file))
        found.sort()
        if not found or self.folder(name) == 'train' and not self.folder(found[0][2]) and (
                self.clip(name) in self.test_clips):  # labels of the test video of this name
            return None
        if len(found) > 1 and found[0][:2] == found[1][:2]:
            raise self.error(name, 'labels', f'{found[0][2]} and {found[1][2]}', 'one file')
        file = found[0][2]
        try:
            labels = read_npy(io.BytesIO(self.gt.file_content(file)))
        except AnnotationError:
            raise
        except Exception as error:  # NumPy raises many kinds for damaged bytes
            raise self.gt.error(file, 'file', describe(error), 'an .npy file') from None
        if labels.size == max(labels.shape, default=0):
            labels = labels.ravel()
        if labels.ndim != 1 or not labels.size or labels.dtype.kind not in 'biuf' or not (
                np.isin(labels, (0, 1)).all()):
            raise self.gt.error(file, 'labels', f'{labels.dtype} of shape {labels.shape}',
                                '0 or 1 per frame')
        return labels != 0

    def frame_labels(self, split: str) -> dict[str, np.ndarray]:
        """Read the ground truth of a split.

        Returns:
            dict: Video -> (T,) bool, True for abnormal frames.

        Raises:
            AnnotationError: If a file is invalid, a video has no labels or the split no video.
        """
        out: dict[str, np.ndarray] = {}
        for name in self.files:
            if split in self.splits(name):
                labels = self.labels(name)
                if labels is None:
                    raise self.error(name, 'labels', 'none', self._expected_labels(name))
                if self.clip(name) in out:
                    raise self.error(name, 'video', f'{self.clip(name)} twice', 'one file')
                out[self.clip(name)] = labels
        if not out:
            raise AnnotationError(f'{self.path}: found no video of the split {split!r}')
        return out

    def _expected_labels(self, name):
        return f'{self.clip(name)}.npy inside the path or inside of --gt'

    def label(self, name: str, labels: np.ndarray | None, splits: tuple[str, ...]) -> int:
        """Return the label of a video, 1 if it has an abnormal frame."""
        if labels is None and 'train' not in splits:
            raise self.error(name, 'labels', 'none', self._expected_labels(name))
        return int(labels is not None and labels.any())

    # ----------------------------------------------------------------------------------- poses
    def annotations(self, name: str, content: bytes) -> Iterator[Item]:
        """Yield the persons of one video, see :meth:`Source.annotations`."""
        splits, labels, clip = self.splits(name), self.labels(name), self.clip(name)
        frame, person, box, pose = self._rows(name, self._load(name, content))
        common = dict(clip=clip, label=self.label(name, labels, splits),
                      img_shape=self.size or self.image_size(name, clip))
        if labels is not None:
            frame, kept = self._within(name, frame, len(labels))
            frame, person, box, pose = frame[kept], person[kept], box[kept], pose[kept]
        elif self.first_frame:
            frame = frame - self.first_frame
        if not len(frame) or frame.min() < 0:
            raise self.error(name, 'frames', 'none' if not len(frame) else f'{frame.min()}',
                             'frames of persons; in a test a video without any counts as normal')
        order = np.lexsort((frame, person))
        frame, person, box, pose = frame[order], person[order], box[order], pose[order]
        if ((np.diff(frame) == 0) & (np.diff(person) == 0)).any():
            raise self.error(name, 'frames', 'a person twice in one frame', 'different numbers')
        for rows in np.split(np.arange(len(frame)), np.flatnonzero(np.diff(person)) + 1):
            track = int(person[rows[0]])
            ann = dict(common, frame_dir=f'{clip}/{track}', track_id=track,
                       total_frames=len(rows), frame_inds=frame[rows],
                       keypoint=pose[rows][None, ..., :2].astype(np.float16),
                       keypoint_score=pose[rows][None, ..., 2].astype(np.float16),
                       box=box[rows][None])
            if labels is not None:
                ann['frame_label'] = labels[frame[rows]].astype(np.int8)
            yield ann, splits

    def image_size(self, name: str, clip: str) -> tuple[int, int]:
        """Return height and width of the videos of a camera."""
        return self.img_shape

    def _load(self, name, content):
        try:
            return _Unpickler(io.BytesIO(content)).load()
        except Exception as error:  # the parser raises many kinds for damaged bytes
            raise self.error(name, 'file', describe(error),
                             'a pickle of NumPy arrays and plain containers') from None

    def _rows(self, name, frames):
        """Return frame (N,), person (N,), box (N, 4) and pose (N, 17, 3) of all poses."""
        if not isinstance(frames, dict) or not all(
                isinstance(persons, dict) or persons is None for persons in frames.values()):
            raise self.error(name, 'frames', type(frames).__name__,
                             'a dict of the persons of every frame')
        found = [(frame, person, pose) for frame, persons in frames.items()
                 for person, pose in (persons or {}).items()]
        parts = [pose.ravel().tolist() if isinstance(pose, np.ndarray) and pose.dtype == object
                 else pose for _, _, pose in found]
        if not all(isinstance(part, (list, tuple)) and len(part) == 2 for part in parts):
            raise self.error(name, 'person', next(
                show(part) for part in parts if not isinstance(part, (list, tuple))
                or len(part) != 2), 'box and keypoints')
        if not found:
            raise self.error(name, 'persons', 'none', 'at least one; in a test its frames count '
                             'as normal')
        frame = self._numbers(name, 'frame', [frame for frame, _, _ in found])
        person = self._numbers(name, 'person', [person for _, person, _ in found])
        box = self._values(name, 'box', [part[0] for part in parts], 4)
        pose = self._values(name, 'keypoints', [part[1] for part in parts], 51)
        if np.nanmax(np.abs(pose[:, 2::3]), initial=0) > MAX_SCORE:
            raise self.error(name, 'keypoints', f'scores up to {np.nanmax(pose[:, 2::3])}',
                             f'about 0 to 1, at most {MAX_SCORE}')
        pose = pose.reshape(-1, 17, 3)
        pose[np.isnan(pose).any(-1)] = 0  # missing
        largest = np.abs(pose[..., :2]).max()
        if not 1.5 < largest < np.finfo(np.float16).max:
            raise self.error(name, 'keypoints', f'coordinates up to {largest:.4g}', 'pixels')
        pose[..., 2] = pose[..., 2].clip(0, 1)
        return frame, person, self._corners(name, box, pose), pose

    def _numbers(self, name, field, keys):
        """Return the numbers (N,) of keys, which are integers or their digits."""
        keys = [key.item() if isinstance(key, np.generic) else key for key in keys]
        keys = [int(key) if type(key) is float and key.is_integer() else key for key in keys]
        wrong = [key for key in keys if not (
            type(key) is int and 0 <= key < 2**31
            or type(key) is str and re.fullmatch(r'[0-9]{1,9}', key))]
        if wrong:
            raise self.error(name, field, show(wrong[0]), 'a number')
        return np.array([int(key) for key in keys], np.int64)

    def _values(self, name, field, values, size):
        """Return numbers (N, size)."""
        try:
            array = to_array(values).astype(np.float64)
            if array.shape[-1:] not in ((size, ), (3, )) or array.size != size * len(values):
                raise ValueError(f'{len(values)} persons with values of shape {array.shape[1:]}')
            array = array.reshape(-1, size)
            if np.isinf(array).any():
                raise ValueError('infinite values')
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise self.error(name, field, describe(error), f'{size} numbers per person') from None
        return array

    def _corners(self, name, box, pose):
        """Return x1, y1, x2, y2 (N, 4) float16 of x, y, width, height; around the joints.

        The files do not say whether x and y are the upper left corner or the center.
        """
        half = box[:, 2:] / 2
        seen = pose[..., 2] > 0

        def around(low):
            inside = ((pose[..., :2] >= low[:, None])
                      & (pose[..., :2] <= low[:, None] + box[:, None, 2:])).all(-1)
            return inside[seen].sum()

        low = box[:, :2]
        if around(low - half) > around(low):
            low = low - half
            self.note(name, 'x and y of the boxes are taken for their centers, which are around '
                      'more joints then')
        corners = np.concatenate([low, low + box[:, 2:]], 1)
        limit = np.finfo(np.float16).max
        corners[np.isnan(corners).any(1) | (box[:, 2:] < 0).any(1)] = 0  # none
        return corners.clip(-limit, limit).astype(np.float16)

    def _within(self, name, frame, length):
        """Return frames from 0 and which of them have a label."""
        first = self.first_frame
        if first is None and frame.max() == length and frame.min() >= 1:
            raise self.error(
                name, 'frames', f'{frame.min()} to {length} with {length} labels',
                'frames from 0, or --first-frame 1 for all files if they are numbered from 1, or '
                '--first-frame 0 if the labels of the last frames are missing')
        frame = frame - (first or 0)
        if (frame >= length).any():
            self.note(name, 'poses after the end of the labels are left out')
        return frame, frame < length


@SOURCES.register_module('chad')
class CHAD(AnomalyVideos):
    """Reader of CHAD (Pazho et al., SCIA 2023), ``<camera>_<video>_<1 with anomaly>.pkl``.

    ``path`` is the folder ``CHAD_Meta``. Cameras 1 to 3 have 1920 x 1080 pixels, 4 has 1280 x 720.
    """

    video_name = re.compile(r'[1-4]_\d{1,5}_[01]')

    def splits(self, name: str) -> tuple[str, ...]:
        """See :meth:`AnomalyVideos.splits`; without lists there are none."""
        if not self.listed_splits and self.folder(name) is None:
            self.note(name, 'no splits, as the path has no train_split_1.txt, ...')
            return ()
        return super().splits(name)

    def label(self, name: str, labels: np.ndarray | None, splits: tuple[str, ...]) -> int:
        """Return the label in the name of a video."""
        if not self.video_name.fullmatch(self.clip(name)):
            return super().label(name, labels, splits)
        label = int(self.clip(name)[-1])
        if labels is not None and labels.any() != label:
            self.note(name, 'the name says whether a video has abnormal frames, its labels say '
                      'the opposite')
        return label

    def image_size(self, name: str, clip: str) -> tuple[int, int]:
        """See :meth:`AnomalyVideos.image_size`."""
        return (720, 1280) if clip.startswith('4_') else self.img_shape


@SOURCES.register_module('pheva')
class PHEVA(AnomalyVideos):
    """Reader of PHEVA (Noghre et al., 2024), folders of training and test videos."""

    img_shape = (720, 1280)

    def image_size(self, name: str, clip: str) -> tuple[int, int]:
        """See :meth:`AnomalyVideos.image_size`."""
        self.note(name, 'images of 1280 x 720 pixels are assumed, which PHEVA does not publish '
                  '(--img-shape)')
        return self.img_shape


@SOURCES.register_module('poselift')
class PoseLift(AnomalyVideos):
    """Reader of PoseLift (Rashvand et al., WACV 2025): ``Pickle_files/{Train,Test,GT}``."""


# ---------------------------------------------------------------------------------- its pickles
class _Objects:
    """Type of an array of objects."""

    def set_state(self, state):
        """Ignore the byte order."""


def _dtype(code, *args):
    return _Objects() if code == 'O8' else CONSTRUCTORS['numpy', 'dtype'].build(code, *args)


def _set_array(array, state):
    """Set the state of an array, also of two objects."""
    if type(state) is tuple and len(state) == 5 and type(state[2]) is _Objects:
        _, shape, _, _, items = state
        if shape not in ((2, ), (2, 1)) or type(items) is not list or len(items) != 2:
            raise ValueError(f'an array of objects of shape {show(shape)}')
        array.__setstate__((1, (2, ), np.dtype(object), False, items))
    else:
        set_array(array, state)


class _Unpickler(RestrictedUnpickler):
    """Unpickler that accepts arrays of two objects."""

    constructors = {
        **CONSTRUCTORS,
        ('numpy', 'dtype'): Constructor(_dtype, lambda dtype, state: dtype.set_state(state)),
        **{(f'numpy.{core}.multiarray', '_reconstruct'): Constructor(
            CONSTRUCTORS[f'numpy.{core}.multiarray', '_reconstruct'].build, _set_array)
           for core in ('core', '_core')}}

    def find_class(self, module: str, name: str) -> Constructor:
        """See :meth:`RestrictedUnpickler.find_class`."""
        found = self.constructors.get((module, name))
        return found or super().find_class(module, name)
