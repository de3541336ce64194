"""Annotation pickles of PYSKL and mmaction2 (Duan et al., CVPR and ACM MM 2022).

``{'split': {name: [id, ...]}, 'annotations': [{...}, ...]}`` or only the list. An annotation has
``frame_dir`` (or ``filename``), ``label``, ``total_frames`` T, ``keypoint`` (M, T, V, 2 or 3) and
in 2D ``img_shape`` and ``keypoint_score`` (M, T, V). Kinetics has keypoints in one additional
pickle per video.
"""
import io
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mofm.annotations import AnnotationError, file_error
from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.annotations.values import MAX_COORDINATE
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert
from mofm.utils.checks import describe, show, typed
from mofm.utils.file_tree import FileTree

from ..base import Item, Source, is_inside
from ..joint_order import other_layouts
from ..recognition import Sample
from ..source_3d import FARTHEST, Source3D

# Scores of HRNet are slightly outside [0, 1]; values beyond these limits are no such scores.
_SCORES = (-.5, 1.5)
_MAX_FRAMES = 10**5  # the clips have 300
# Frames of an annotation whose bones are measured.
_LOOKED = 16
# Optional fields of the schema, which :func:`mofm.annotations.validate` checks.
_KEPT = 'clip', 'track_id', 'frame_inds', 'frame_label', 'segments', 'fps'
_BOX_THRESHOLDS = (.5, .6, .7, .8, .9)


@dataclass(frozen=True)
class _Fields:
    """Validated access to the fields of an annotation in a pickle."""

    file: str
    index: int | None = None
    values: Any = None

    def error(self, field: str, found: object, expected: object) -> AnnotationError:
        return file_error(self.file, field, found, expected, self.index)

    def get(self, field: str, default: Any = None):
        if not isinstance(self.values, dict):
            raise self.error('annotation', typed(self.values), 'a dict')
        if field not in self.values and default is None:
            raise self.error(field, 'nothing', 'this field')
        return self.values.get(field, default)

    def name(self, field: str) -> str:
        value = self.get(field)
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) < 1000:
            raise self.error(field, typed(value), 'a name')
        if not is_inside(value):
            raise self.error(field, repr(value), 'a path inside the folder')
        return str(value)

    def integer(self, field: str, value: Any, low: int) -> int:
        if not isinstance(value, (int, np.integer)) or isinstance(
                value, bool) or not low <= value < 2**31:
            raise self.error(field, typed(value), f'an integer >= {low}')
        return int(value)

    def header(self, key: str) -> dict:
        header = dict(frame_dir=self.name(key), label=self.integer('label', self.get('label'), 0))
        return header | {field: self.values[field] for field in _KEPT if field in self.values}

    def img_shape(self) -> tuple[int, int]:
        field = 'original_shape' if 'img_shape' not in self.values else 'img_shape'
        value = self.get(field)
        if isinstance(value, np.ndarray) and value.shape == (2, ):
            value = value.tolist()
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise self.error(field, typed(value), 'two positive integers (h, w)')
        return tuple(self.integer(field, size, 1) for size in value)

    def array(self, field: str, shape: tuple[int | None, ...], kinds: str = 'fiu'):
        value = self.get(field)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
            raise self.error(field, typed(value),
                             'an array of numbers')
        if value.ndim != len(shape) or any(n not in (None, m)
                                           for n, m in zip(shape, value.shape, strict=True)):
            raise self.error(field, f'shape {value.shape}',
                             str(shape).replace('None', 'any number'))
        if np.isinf(value).any():
            raise self.error(field, 'infinite values', 'finite numbers; NaN is missing')
        return value.view(np.ndarray)

    def total_frames(self, keypoint: np.ndarray) -> int:
        found = self.integer('total_frames', self.get('total_frames', keypoint.shape[1]), 1)
        if found != keypoint.shape[1]:
            raise self.error('total_frames', found, f'{keypoint.shape[1]} as in keypoint')
        return found

    def pose(self, keypoint: np.ndarray, score: np.ndarray, layout: str) -> dict:
        """Return the fields of keypoints (M, T, V, 2) and scores (M, T, V) of any layout."""
        known = ~(np.isnan(keypoint).any(-1) | np.isnan(score))
        if not ((score[known] >= _SCORES[0]) & (score[known] <= _SCORES[1])).all():
            raise self.error('keypoint_score', f'{score[known].min()} to {score[known].max()}',
                             'numbers in [0, 1]')
        score = np.where(known, score, 0).clip(0, 1).astype(np.float32)
        with np.errstate(over='ignore', invalid='ignore'):  # infinite values raise later
            keypoint = np.where(known[..., None], keypoint, 0).astype(np.float32)
            keypoint, score = convert(keypoint, score, layout)
            keypoint, score = keypoint.astype(np.float16), score.astype(np.float16)
        return dict(keypoint=keypoint, keypoint_score=score)


class _Pickles:
    """Mixin of readers of untrusted pickles, which skip invalid annotations individually.

    Splits and labels are those of the lists if there are any, otherwise those of the file.
    """

    suffix = '.pkl'
    max_size = 2**33

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        is_3d = not sample.contains(b'keypoint_score')
        if sample.head[:1] == b'\x80' and is_3d == issubclass(cls, Source3D) and sample.contains(
                b'total_frames', b'keypoint') and not sample.contains(b'box_score'):
            return f"a pickle of annotations with 'keypoint' {'in 3D' if is_3d else 'in 2D'}"
        return None

    def items(self, fields: _Fields, header: dict, splits: tuple[str, ...]) -> Iterator[Item]:
        """Convert one annotation."""
        raise NotImplementedError

    def annotations(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source.annotations`."""
        where = f'{self.path}:{name}' if name else str(self.path)
        annotations, splits, key = _unpickle(_Fields(where), content)
        seen = set()
        for index, values in enumerate(annotations):
            fields = _Fields(where, index, values)
            try:
                header = fields.header(key)
                if header['frame_dir'] in seen:
                    raise fields.error(key, f'{header["frame_dir"]!r} twice', 'a unique name')
                seen.add(header['frame_dir'])
                names = splits.pop(header['frame_dir'], ())
                if self.lists is not None:
                    found = self.listed(header['frame_dir'])
                    if found is None:
                        continue
                    header['label'], names = found
                items = list(self.items(fields, header, tuple(names)))
                for annotation, _ in items:
                    problem = self.check(annotation, where, index)
                    if problem is not None:
                        raise AnnotationError(problem)
            except AnnotationError as error:
                self.report(error)
            else:
                yield from items
        if splits:
            self.report(self.error(name, 'split', f'{len(splits)} ids without annotation, e.g. '
                                   f'{min(splits)[:80]!r}', 'an annotation per id'))


def _load(file: _Fields, content: bytes):
    """Load a pickle of arrays and plain containers."""
    try:
        return RestrictedUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # the parser raises many kinds for damaged bytes
        raise file.error('file', describe(error),
                         'a pickle of NumPy arrays and plain containers') from None


def _unpickle(file: _Fields, content: bytes) -> tuple[list, dict[str, list[str]], str]:
    """Load annotations of a pickle, the splits of each ID and the name of the ID field."""
    data = _load(file, content)
    data = dict(annotations=data) if isinstance(data, list) else data
    if not isinstance(data, dict) or not isinstance(data.get('annotations'), list):
        raise file.error('annotations', typed(data),
                         "a list, or a dict with 'split' and 'annotations'")
    annotations, split = data['annotations'], data.get('split', {})
    if not isinstance(split, dict):
        raise file.error('split', typed(split), 'a dict')
    splits: dict[str, list[str]] = {}
    for title, ids in split.items():
        ids = ids.ravel().tolist() if isinstance(ids, np.ndarray) else ids
        if not isinstance(title, str) or not isinstance(
                ids, (list, tuple, set, frozenset)) or not all(isinstance(i, str) for i in ids):
            raise file.error('split', f'{show(title)}: {show(ids)}', 'lists of ids by name')
        for i in set(ids):
            splits.setdefault(i, []).append(title)
    first = annotations[0] if annotations else {}
    key = 'filename' if isinstance(first, dict) and 'filename' in first else 'frame_dir'
    return annotations, splits, key


@SOURCES.register_module('pyskl')
class PYSKL(_Pickles, Source):
    """Reader of published 2D pickles of any layout; labels and splits are those of the file.

    NaN marks missing joints. Scores are clipped to [0, 1], which HRNet's slightly exceed.

    Args:
        path (str or Path): A pickle, or a folder or zip file of pickles.
        layout (str): Layout of the joints, one of :data:`mofm.structures.LAYOUTS`.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`.

    Raises:
        AnnotationError: If the path has no pickle.
        ValueError: If the layout is unknown.
    """

    def __init__(self, path: str | Path, layout: str = 'coco17', **kwargs):
        if layout not in LAYOUTS:
            raise ValueError(f'layout: found {layout!r}, expected one of {sorted(LAYOUTS)}')
        super().__init__(path, **kwargs)
        self.layout = layout

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--layout', choices=sorted(LAYOUTS), default='coco17',
                            help='layout of the joints in the file')

    def items(self, fields: _Fields, header: dict, splits: tuple[str, ...]) -> Iterator[Item]:
        """See the base class."""
        num_joints = LAYOUTS[self.layout].num_joints
        keypoint = fields.array('keypoint', (None, None, num_joints, 2))
        score = fields.array('keypoint_score', keypoint.shape[:3])
        self._check_layout(fields.file, keypoint, score)
        yield dict(
            header, **{'box': fields.values['box']} if 'box' in fields.values else {},
            img_shape=fields.img_shape(), total_frames=fields.total_frames(keypoint),
            **fields.pose(keypoint, score, self.layout)), splits

    def _check_layout(self, name: str, keypoint: np.ndarray, score: np.ndarray):
        """Note another layout whose bones have the proportions of humans."""
        every = -(-keypoint.shape[1] // _LOOKED) or 1
        keypoint, score = (part[:1, ::every].reshape(-1, *part.shape[2:]).astype(np.float64)
                           for part in (keypoint, score))
        known = (np.abs(keypoint) <= MAX_COORDINATE).all(-1) & ~np.isnan(score)  # not NaN
        kind, others = other_layouts(np.where(known[..., None], keypoint, 0),
                                     np.where(known, score, 0), self.layout)
        if kind == 'better':
            self.note(name, f'the joints are read as {self.layout}, but their bones have the '
                      f'proportions of humans in the order of {" or ".join(others)} (--layout)')


@SOURCES.register_module('pyskl_3d')
class PYSKL3D(_Pickles, Source3D):
    """Reader of the 3D pickles of NTU RGB+D, through virtual cameras.

    ``keypoint`` is (M, T, 25, 3) in meters in sensor coordinates, 0 or NaN where missing.
    All persons of an annotation are seen by the same cameras.
    """

    layout = 'kinect25'

    def items(self, fields: _Fields, header: dict, splits: tuple[str, ...]) -> Iterator[Item]:
        """See the base class."""
        joints = fields.array('keypoint', (None, None, LAYOUTS[self.layout].num_joints, 3))
        fields.total_frames(joints)
        if not len(joints):
            raise fields.error('keypoint', 'no person', 'at least one')
        joints = joints.astype(np.float64)
        joints[~joints.any(-1) | np.isnan(joints).any(-1)] = np.nan
        if (np.abs(joints[np.isfinite(joints)]) >= FARTHEST).any():
            raise fields.error('keypoint', f'values up to {np.nanmax(np.abs(joints))}',
                               f'meters below {FARTHEST}')
        for annotation in self.views_of(dict(header, joints=joints)):
            yield annotation, splits


@SOURCES.register_module('kinetics')
class Kinetics(Source):
    """Reader of Kinetics, an annotation pickle and one pickle of keypoints per video.

    Annotations have ``frame_inds`` (N,) and ``box_score`` (N,) of N poses; their keypoints are in
    ``<frame_dir>.pkl``: ``keypoint`` (N, 17, 3) with x, y and score. Poses of a frame become
    persons in their order, see :func:`decompress`. :attr:`files` are the IDs.

    Args:
        path (str or Path): The annotation pickle.
        skeletons (str or Path): Folder or zip file of the keypoint pickles.
        squeeze (bool): Drop frames without a pose; ``frame_inds`` are the frames of the rows.
        valid_ratio (float): Minimum share of frames with a pose above ``box_thr``. If positive,
            poses below ``box_thr`` are dropped, as in mmaction2.
        box_thr (float): 0.5, 0.6, 0.7, 0.8 or 0.9.
        max_person (int): Maximum number of persons per frame.
        **kwargs: ``strict`` and ``lists`` of :class:`Source`.

    Raises:
        AnnotationError: If the annotation pickle is invalid or no video is left.
        ValueError: If an option is out of range.
    """

    suffix = '.pkl'

    def __init__(self, path: str | Path, skeletons: str | Path, squeeze: bool = True,
                 valid_ratio: float = 0, box_thr: float = .5, max_person: int = 10, **kwargs):
        if not 0 <= valid_ratio <= 1 or box_thr not in _BOX_THRESHOLDS or max_person < 1:
            raise ValueError(f'found valid_ratio={valid_ratio}, box_thr={box_thr} and max_person='
                             f'{max_person}, expected a ratio in [0, 1], one of '
                             f'{_BOX_THRESHOLDS} and at least 1')
        self.ann_file = Path(path)
        self.squeeze = squeeze
        self.valid_ratio = valid_ratio
        self.box_thr = box_thr
        self.max_person = max_person
        super().__init__(skeletons, **kwargs)

    @classmethod
    def add_options(cls, parser: ArgumentParser):
        """See :meth:`Source.add_options`."""
        super().add_options(parser)
        parser.add_argument('--skeletons', required=True, metavar='FOLDER',
                            help='folder or zip file with one pickle per video')
        parser.add_argument('--keep-frames', action='store_false', dest='squeeze',
                            help='keep frames without a pose')
        parser.add_argument('--valid-ratio', type=float, default=0, metavar='RATIO',
                            help='minimum share of frames with a pose above --box-thr')
        parser.add_argument('--box-thr', type=float, default=.5, choices=_BOX_THRESHOLDS,
                            help='minimum score of a box, used with --valid-ratio')
        parser.add_argument('--max-person', type=int, default=10,
                            help='maximum number of persons per frame')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.head[:1] == b'\x80' and sample.contains(b'frame_inds', b'box_score'):
            return "a pickle of annotations with 'frame_inds' and 'box_score'"
        return None

    def find(self) -> list[str]:
        """List the IDs of videos with poses in enough frames, in the order of the file."""
        if self.tree.is_file:
            raise AnnotationError(f'{self.path}: is neither a folder nor a readable zip file')
        file = _Fields(str(self.ann_file))
        try:
            content = FileTree(self.ann_file).read('', self.largest)
        except Exception as error:  # of many kinds for compressed files
            raise file.error('file', error, 'a readable pickle') from None
        annotations, splits, key = _unpickle(file, content)
        #: Annotation and splits of each ID, or the error of an invalid annotation.
        self.videos: dict[str, AnnotationError | tuple[_Fields, tuple[str, ...]]] = {}
        for index, values in enumerate(annotations):
            fields = _Fields(file.file, index, values)
            try:
                name = fields.name(key)
                if name in self.videos:
                    raise fields.error(key, f'{name!r} twice', 'a unique name')
                if self.valid_ratio and self._share(fields) < self.valid_ratio:
                    continue
            except AnnotationError as error:
                self.videos[f'annotation {index}'] = error
            else:
                self.videos[name] = fields, tuple(splits.get(name, ()))
        if not self.videos:
            raise file.error('annotations', f'none left of {len(annotations)}',
                             f'some with valid_ratio={self.valid_ratio}')
        return list(self.videos)

    def used(self) -> list[str]:
        """See :meth:`Source.used`."""
        return [name for name in (self.tree.find(f'{name}.pkl') for name in self.files) if name]

    def _share(self, fields: _Fields) -> float:
        """Compute the share of frames with a pose above the threshold."""
        counts = fields.get('valid')
        if not isinstance(counts, dict):
            raise fields.error('valid', typed(counts), 'a dict of counts by threshold')
        frames = fields.integer('total_frames', fields.get('total_frames'), 1)
        return fields.integer('valid', counts.get(self.box_thr), 0) / frames

    def load(self, name: str) -> bytes:
        """Load the pickle of a video."""
        if isinstance(self.videos[name], AnnotationError):
            raise self.videos[name]
        return self.file_content(f'{name}.pkl')

    def read(self, name: str, content: bytes) -> Item | None:
        """See :meth:`Source.read`; None for an unlisted video."""
        fields, splits = self.videos[name]
        annotation = dict(frame_dir=name, label=fields.integer('label', fields.get('label'), 0),
                          img_shape=fields.img_shape())
        if self.lists is not None:
            found = self.listed(name)
            if found is None:
                return None
            annotation['label'], splits = found
        total_frames = fields.integer('total_frames', fields.get('total_frames'), 1)
        file = _Fields(f'{self.path}:{name}.pkl')
        file = _Fields(file.file, None, _load(file, content))
        keypoint = file.array('keypoint', (None, LAYOUTS['coco17'].num_joints, 3))
        frame = fields.array('frame_inds', (len(keypoint), ), 'iu').astype(np.int64)
        if len(frame) and (frame[0] < 0 or frame[-1] >= total_frames
                           or (np.diff(frame) < 0).any()):
            raise fields.error('frame_inds', show(frame.tolist()),
                               f'frames from 0 to {total_frames - 1}, ascending')
        if self.valid_ratio:
            chosen = fields.array('box_score', (len(keypoint), )) >= self.box_thr
            keypoint, frame = keypoint[chosen], frame[chosen]
        if self.squeeze and len(frame):
            annotation['frame_inds'], frame = np.unique(frame, return_inverse=True)
            total_frames = len(annotation['frame_inds'])
        elif len(frame) and total_frames > _MAX_FRAMES:
            raise fields.error('total_frames', total_frames, f'at most {_MAX_FRAMES}')
        values = decompress(keypoint, frame, total_frames, self.max_person)
        return dict(annotation, total_frames=total_frames,
                    **file.pose(values[..., :2], values[..., 2], 'coco17')), splits

    def annotations(self, name: str, content: bytes) -> list[Item]:
        """See :meth:`Source.annotations`."""
        item = self.read(name, content)
        return [] if item is None else [item]


def decompress(keypoint: np.ndarray, frame: np.ndarray, total_frames: int,
               max_person: int = 10) -> np.ndarray:
    """Convert poses to persons: the n-th pose of a frame is person n, as in ``DecompressPose``.

    If a frame has more than ``max_person`` poses, those of all frames are sorted by the sum of
    their scores first.

    Args:
        keypoint (np.ndarray): (N, V, 3) x, y and score.
        frame (np.ndarray): (N,) int, ascending.
        total_frames (int): T, larger than any frame.
        max_person (int): Maximum number of persons. Defaults to 10.

    Returns:
        np.ndarray: (M, T, V, 3) float16, 0 where a person is absent.
    """
    with np.errstate(over='ignore'):
        keypoint = keypoint.astype(np.float16)
    if not len(frame):
        return np.zeros((0, total_frames, *keypoint.shape[1:]), np.float16)
    count = np.bincount(frame, minlength=total_frames)
    if count.max() > max_person:
        score = np.ascontiguousarray(keypoint[..., 2]).sum(-1)
        keypoint = keypoint[np.lexsort((-score, frame))]
    person = np.arange(len(frame)) - (np.cumsum(count) - count)[frame]
    kept = person < max_person
    out = np.zeros((min(count.max(), max_person), total_frames, *keypoint.shape[1:]), np.float16)
    out[person[kept], frame[kept]] = keypoint[kept]
    return out
