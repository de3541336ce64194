"""JHMDB: 928 clips of 21 actions with 15 annotated joints (Jhuang et al., ICCV 2013).

``joint_positions/<class>/<clip>/joint_positions.mat`` has ``pos_img`` (2, 15, T), x and y in
pixels of a 320 x 240 image, counted from 1, and ``pos_world``, the same from the center of the
image in units of its height and of the annotated puppet. ``<class>_test_split1.txt`` has lines
``clip.avi 1`` of clips for training and ``clip.avi 2`` for testing.
"""
import io
import re
from argparse import ArgumentParser
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mofm.annotations import LABEL_NAMES, AnnotationError
from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert
from mofm.utils.checks import describe, show, typed

from ..base import Item, Source
from ..matlab import has_variables, read_mat
from ..recognition import Sample

_LIST = re.compile(r'(\w+)_test_split([123])\.txt', re.IGNORECASE)
_LINE = re.compile(r'\s*(.+)\.avi\s+([012])\s*', re.IGNORECASE)
_SETS = {'1': 'train', '2': 'test'}
_PICKLE = re.compile(r'GT_(train|test)_([123])\.pkl', re.IGNORECASE)
_IMG_SHAPE = (240, 320)
# Share of the image that a clip of coordinates without a unit fills.
_FILLED = .9
_VALIDATION = .15


def draw_validation(videos: Mapping[Hashable, str]) -> set:
    """Draw clips of one class for validation, all or none of a video.

    In a random order, always the same, the videos that fit into the remaining room of 15 %.

    Args:
        videos (Mapping[Hashable, str]): Video by clip.
    """
    groups: dict[str, list] = {}
    for clip, video in videos.items():
        groups.setdefault(video, []).append(clip)
    room, chosen = round(_VALIDATION * len(videos)), set()
    names = sorted(groups)
    for i in np.random.default_rng(0).permutation(len(names)):
        if len(groups[names[i]]) <= room:
            chosen.update(groups[names[i]])
            room -= len(groups[names[i]])
    return chosen


class _Lists(Source):
    suffix = '.txt'


class _Joints(Source):
    """Base class of both readers."""

    classes = LABEL_NAMES['jhmdb']

    def label(self, name: str, action: object) -> int:
        """Return the label of a class name.

        Raises:
            AnnotationError: If there is no such class.
        """
        if not isinstance(action, str) or action not in self.classes:
            raise self.error(name, 'class', show(action), f'one of {self.classes}')
        return self.classes.index(action)

    def annotation(self, frame_dir: str, label: int, joints: np.ndarray) -> dict:
        """Return the annotation of joints (T, 15, 2) in pixels; all of them have score 1."""
        with np.errstate(over='ignore'):  # infinite values raise later
            keypoint = joints[None].astype(np.float16)
        keypoint, score = convert(keypoint, np.ones(keypoint.shape[:3], np.float16), 'jhmdb15')
        return dict(frame_dir=frame_dir, label=label, img_shape=_IMG_SHAPE,
                    total_frames=len(joints), keypoint=keypoint, keypoint_score=score)


@SOURCES.register_module('jhmdb')
class JHMDB(_Joints):
    """Reader of ``joint_positions.mat``, splits ``train1``, ``test1`` ... ``test3``.

    ``fit1`` and ``val1`` divide ``train1``: about 15 % of the clips of each class, of videos of
    their own, are for validation. Lists in a folder or archive ``sub_splits`` give ``sub_train1``
    ... ``sub_test3``, those of sub-JHMDB. The face becomes the nose; neck and belly are dropped,
    eyes and ears are missing. Joints that are hidden or outside of the image have a guessed place
    in the files and score 1.

    Args:
        path (str or Path): Folder or archive of the joints.
        strict (bool): Raise at the first invalid file instead of skipping it.
        splits (Sequence[str or Path], optional): Folders or archives of the lists, if they are
            not inside the path.

    Raises:
        AnnotationError: If the paths have no such files, or a list is invalid.
    """

    prefix = 'joint_positions'
    suffix = '.mat'
    companions = '*_test_split?.txt',
    max_size = 2**20

    def __init__(self, path: str | Path, strict: bool = False,
                 splits: Sequence[str | Path] | None = None):
        super().__init__(path, strict)
        #: Splits by class and clip.
        self.splits: dict[tuple[str, str], list[str]] = {}
        for source in map(_Lists, splits) if splits else [self]:
            self._read_lists(source)
        self._divide()
        if not self.splits:
            raise AnnotationError(f'{self.path}: found no list <class>_test_split1.txt, expected '
                                  'those of splits.zip inside the path, or as --splits')

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--splits', nargs='+', metavar='PATH', help='folder or archive of '
                            '*_test_split?.txt if elsewhere, once or more')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if has_variables(sample.head, ('pos_img', 'pos_world')):
            return 'a MATLAB file with pos_img, pos_world'
        return None

    def _read_lists(self, source: Source):
        """Add the splits of the lists of a source."""
        for name in source.tree.names:
            match = _LIST.fullmatch(source.tree.filename(name))
            if match is None:
                continue
            folder = (source.path.absolute() / name).parent.name
            prefix = 'sub_' * folder.lower().startswith('sub_')
            lines = source.text(name, source.file_content(name)).splitlines()
            for number, line in enumerate(lines, 1):
                found = _LINE.fullmatch(line)
                if found is None and line.strip():
                    raise source.error(name, f'line {number}', show(line), 'CLIP.avi 1 or 2')
                if found and found[2] in _SETS:
                    splits = self.splits.setdefault((match[1], found[1]), [])
                    splits.append(f'{prefix}{_SETS[found[2]]}{match[2]}')

    def _divide(self):
        """Add the splits for fitting and validation, which divide those for training."""
        trained: dict[tuple[str, str], dict[str, str]] = {}  # split and class to video by clip
        for (action, clip), splits in self.splits.items():
            for split in splits:
                if 'train' in split:
                    video = clip.rsplit(f'_{action}_', 1)[0]  # as HMDB names its clips
                    trained.setdefault((split, action), {})[clip] = video
        for (split, action), videos in trained.items():
            chosen = draw_validation(videos)
            for clip in videos:
                self.splits[action, clip].append(
                    split.replace('train', 'val' if clip in chosen else 'fit'))

    def read(self, name: str, content: bytes) -> Item:
        """See :meth:`Source.read`."""
        folder = (self.path.absolute() / name).parent
        action, clip = folder.parent.name, folder.name
        label = self.label(name, action)
        pixels = self.array(name, 'pos_img', read_mat(self, name, content, ('pos_img', ))[
            'pos_img'], (2, LAYOUTS['jhmdb15'].num_joints, None))
        if not pixels.size:
            raise self.error(name, 'pos_img', 'no frame', 'at least one')
        splits = self.splits.get((action, clip), [])
        if not splits:
            self.note(name, 'a clip is in no list of a split')
        return self.annotation(clip, label, pixels.transpose(2, 1, 0) - 1), tuple(
            sorted(set(splits)))


@SOURCES.register_module('jhmdb_ddnet')
class JHMDBPickles(_Joints):
    """Reader of the pickles of DD-Net, ``GT_train_1.pkl`` ... ``GT_test_3.pkl``.

    A pickle is ``{'pose': [(T, 15, 2), ...], 'label': [class, ...]}`` with ``pos_world`` as
    coordinates, without names of the clips: they are called ``train1/000``, and a clip is there
    once for each of the three splits. Each clip is scaled to nine tenths of a 320 x 240 image,
    since the files have no size. Joints and splits are those of :class:`JHMDB`, but for clips of
    one video in both ``fit1`` and ``val1``.
    """

    prefix = 'GT_'
    suffix = '.pkl'
    max_size = 2**26

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.head[:1] == b'\x80' and _PICKLE.fullmatch(sample.filename) and (
                sample.contains(b'pose', b'label')):
            return "a pickle GT_train_1.pkl with 'pose' and 'label'"
        return None

    def annotations(self, name: str, content: bytes) -> Iterator[Item]:
        """Yield the clips of a pickle."""
        match = _PICKLE.fullmatch(self.tree.filename(name))
        if match is None:
            raise self.error(name, 'name', self.tree.filename(name),
                             'GT_train_1.pkl ... GT_test_3.pkl')
        try:
            data = RestrictedUnpickler(io.BytesIO(content)).load()
        except Exception as error:  # the parser raises many kinds for damaged bytes
            raise self.error(name, 'file', describe(error),
                             'a pickle of NumPy arrays and plain containers') from None
        poses, labels = (data.get(key) if isinstance(data, dict) else None
                         for key in ('pose', 'label'))
        if not isinstance(poses, list) or not isinstance(labels, list) or (
                len(poses) != len(labels)):
            raise self.error(name, 'pose', f'{typed(poses)} and {typed(labels)} as label',
                             'two lists of equal length')
        labels = [self.label(name, action) for action in labels]
        split = f'{match[1].lower()}{match[2]}'
        chosen = {i for label in {*labels} for i in draw_validation(
            {i: f'{i:06d}' for i, one in enumerate(labels) if one == label})}
        for i, (pose, label) in enumerate(zip(poses, labels, strict=True)):
            part = split.replace('train', 'val' if i in chosen else 'fit')
            joints = self.array(name, f'pose {i}', pose, (None, LAYOUTS['jhmdb15'].num_joints, 2))
            yield self.annotation(f'{split}/{i:03d}', label,
                                  self._pixels(name, i, joints)), tuple(
                                      dict.fromkeys((split, part)))

    def _pixels(self, name: str, number: int, joints: np.ndarray) -> np.ndarray:
        """Move and scale joints (T, 15, 2) into the image."""
        size = np.array(_IMG_SHAPE[::-1])
        if joints.size:
            low, high = joints.min((0, 1)), joints.max((0, 1))
            with np.errstate(over='ignore', divide='ignore', invalid='ignore'):
                scale = (_FILLED * size / (high - low)).min()
                if 0 < scale < np.inf:
                    return (joints - (low + high) / 2) * scale + size / 2
        raise self.error(name, f'pose {number}', 'no frame or one place', 'joints of a person')
