"""Annotation files: reading from untrusted places, writing, and the checks on one annotation.

The one schema is that of PYSKL and mmaction2: ``{'split': {name: [id, ...]}, 'annotations':
[{...}, ...]}``, with ``frame_dir`` (id), ``label``, ``img_shape`` (h, w), ``total_frames`` T,
``keypoint`` (M, T, V, 2) in pixels and ``keypoint_score`` (M, T, V) per annotation. A third key
``metainfo`` may hold the class names. A missing joint has coordinates 0 or a score below 1e-4.
Joints in space have ``keypoint`` (M, T, V, 3) in metres and need no image and no scores.

Untrimmed recordings and tracks have optional fields: ``clip``, the video (several annotations may
share one; ``frame_dir`` by default); ``track_id``, who the one person is; ``frame_inds`` (T,), the
frame of the video behind each row, ascending, gaps allowed (0, 1, ... by default); and
``frame_label`` (T,) or (M, T), the label of each row, 0 or -1 for nothing special; and
``segments`` (N, 3), actions that may overlap: label, first and last frame of the video.

Four kinds of file hold it. ``.pkl`` is the published kind, ``.arrow`` the one for large corpora
(:mod:`mofm.datasets.arrow`). ``.json`` is the same as ``.pkl`` with nested lists. ``.npz`` is
columnar, N clips with P = sum(M) * T person-frames laid end to end: ``keypoint`` (P, V, 2),
``keypoint_score`` (P, V), ``num_person``, ``total_frames``, ``label``, ``frame_dir`` (N,),
``img_shape`` (N, 2), ``split.<name>`` (ids) and ``metainfo`` (JSON text).
"""
import json
import os
import pickle
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .arrow import ArrowFile, ArrowWriter
from .unpickling import RefusedPickle, RestrictedUnpickler, UnpickledArray

#: Joints scored below this are missing.
SCORE_THRESHOLD = 1e-4
#: Optional fields with an array of integers.
TRACK_ARRAYS = ('frame_inds', 'frame_label', 'segments')
_FIELDS = ('frame_dir', 'label', 'img_shape', 'total_frames', 'keypoint', 'keypoint_score')
_COLUMNS = ('frame_dir', 'label', 'img_shape', 'total_frames', 'num_person')


@dataclass(frozen=True)
class Problem:
    """What is wrong with one annotation.

    Args:
        file (str): Annotation file.
        index (int, optional): Position in its ``annotations``; None if it is not about one.
        field (str): Field at fault.
        found (str): What it holds.
        expected (str): What it should hold.
    """

    file: str
    index: int | None
    field: str
    found: str
    expected: str

    def __str__(self):
        where = self.file if self.index is None else f'{self.file}: annotation {self.index}'
        return f'{where}: {self.field}: found {self.found}, expected {self.expected}'


class AnnotationError(ValueError):
    """An annotation, or a file of them, that cannot be used."""


def _read_pkl(path):
    with open(path, 'rb') as f:
        return RestrictedUnpickler(f).load()


def _read_json(path):
    data = json.loads(Path(path).read_text(encoding='utf-8'))
    annotations = data['annotations'] if isinstance(data, dict) else data
    dtypes = dict(keypoint=np.float32, keypoint_score=np.float32,
                  **dict.fromkeys(TRACK_ARRAYS))
    for i, ann in enumerate(annotations):
        for name in dtypes.keys() & ann:
            try:
                ann[name] = np.array(ann[name], dtypes[name])
                if name == 'segments' and not ann[name].size:
                    ann[name] = np.zeros((0, 3), np.int64)
            except (TypeError, ValueError):
                raise AnnotationError(f'annotation {i}: {name} is not a regular array of numbers')
    return data


def _read_npz(path):
    with np.load(path, allow_pickle=False) as columns:
        data = {name: columns[name] for name in columns.files}
    keypoint, score = data['keypoint'], data['keypoint_score']
    rows = [data[name].tolist() for name in _COLUMNS]
    annotations, start = [], 0
    for frame_dir, label, img_shape, total_frames, num_person in zip(*rows, strict=True):
        stop, shape = start + num_person * total_frames, (num_person, total_frames)
        annotations.append(dict(
            frame_dir=frame_dir, label=label, img_shape=tuple(img_shape),
            total_frames=total_frames,
            keypoint=keypoint[start:stop].reshape(*shape, *keypoint.shape[1:]),
            keypoint_score=score[start:stop].reshape(*shape, *score.shape[1:])))
        start = stop
    if start != len(keypoint) or start != len(score):
        raise AnnotationError(f'keypoint holds {len(keypoint)} and keypoint_score {len(score)} '
                              f'person-frames, num_person * total_frames sums to {start}')
    split = {name[6:]: ids.tolist() for name, ids in data.items() if name.startswith('split.')}
    return dict(split=split, annotations=annotations, metainfo=json.loads(str(data['metainfo'])))


def open_arrow(path: str | os.PathLike) -> ArrowFile:
    """Open an ``.arrow`` file without reading it.

    Raises:
        AnnotationError: If it is missing, damaged or of another structure.
    """
    path = _existing(path)
    try:
        file = ArrowFile(path)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error
    if not len(file):
        raise AnnotationError(f'{path}: holds no annotations')
    return file


def _existing(path):
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise AnnotationError(f'{path}: no such file; make it with tools/data/prepare.py or '
                              'correct ann_file')
    return path


def _unreadable(path, error):
    return AnnotationError(
        f'{path}: cannot be read, it may be truncated or not be a {os.path.splitext(path)[1]} '
        f'file ({type(error).__name__}: {error}); fetch or make it again')


def _read_arrow(path):
    file = open_arrow(path)
    annotations = [file[row] for row in range(len(file))]
    split = {name: [annotations[row]['frame_dir'] for row in rows]
             for name, rows in file.splits().items()}
    return dict(split=split, annotations=annotations, metainfo=file.metainfo)


_READERS = {'.pkl': _read_pkl, '.json': _read_json, '.npz': _read_npz, '.arrow': _read_arrow}


def load_annotations(path: str | os.PathLike) -> dict[str, Any]:
    """Read an annotation file without trusting it.

    Args:
        path (str or Path): A ``.pkl``, ``.arrow``, ``.json`` or ``.npz`` file.

    Returns:
        dict: ``annotations`` (list[dict]), ``split`` (dict of lists of ids; empty for a plain
        list) and ``metainfo`` (dict). The annotations themselves are not checked,
        see :func:`validate`.

    Raises:
        AnnotationError: If the file is missing, truncated, empty, of another structure, or holds
            a class that is not allowed; the message names the file and the reason.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1]
    if suffix not in _READERS:
        raise AnnotationError(f'{path}: found suffix {suffix!r}, expected one of '
                              f'{sorted(_READERS)}')
    _existing(path)
    try:
        data = _READERS[suffix](path)
    except (AnnotationError, RefusedPickle) as error:
        raise error if path in str(error) else AnnotationError(f'{path}: {error}') from None
    except ModuleNotFoundError:
        raise
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        raise _unreadable(path, error) from error
    if isinstance(data, list):
        data = dict(annotations=data)
    if not isinstance(data, dict) or not isinstance(data.get('annotations'), list):
        found = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise AnnotationError(f"{path}: found {found} at the top, expected a dict with 'split' "
                              "and 'annotations', or a list of annotations")
    if not data['annotations']:
        raise AnnotationError(f'{path}: holds no annotations')
    data = {'split': {}, 'metainfo': {}, **data}
    for key in ('split', 'metainfo'):
        if not isinstance(data[key], dict):
            raise AnnotationError(f'{path}: {key}: found {type(data[key]).__name__}, expected a '
                                  'dict')
    names = data['metainfo'].get('classes', [])
    for field, value in (('metainfo.classes', names), *data['split'].items()):
        if isinstance(value, str) or not isinstance(value, Collection) or not all(
                isinstance(item, str) for item in value):
            raise AnnotationError(f'{path}: {field}: expected a list of texts')
    for ann in data['annotations']:
        if isinstance(ann, dict):
            for name, value in ann.items():
                if isinstance(value, UnpickledArray):
                    ann[name] = value.view(np.ndarray)
    return data


def _write_pkl(data, f):
    pickle.dump(data, f, protocol=4)


def _write_json(data, f):
    def plain(value):
        return value.tolist()  # NumPy arrays and scalars
    f.write(json.dumps(data, default=plain).encode())


def _write_npz(data, f):
    anns = data['annotations']
    if any({'clip', 'track_id', *TRACK_ARRAYS} & ann.keys() for ann in anns):
        raise AnnotationError('tracks do not fit into .npz; write .pkl or .json')
    columns = {name: np.array([a[name] for a in anns]) for name in _COLUMNS[:-1]}
    columns['num_person'] = np.array([len(a['keypoint']) for a in anns])
    for name in ('keypoint', 'keypoint_score'):
        columns[name] = np.concatenate([a[name].reshape(-1, *a[name].shape[2:]) for a in anns])
    columns.update({f'split.{name}': np.array(ids, str) for name, ids in data['split'].items()})
    np.savez_compressed(f, metainfo=json.dumps(data.get('metainfo', {})), **columns)


def _write_arrow(data, f):
    splits = {}
    for name, ids in data['split'].items():
        for id_ in ids:
            splits.setdefault(id_, []).append(name)
    with ArrowWriter(f, data.get('metainfo', {})) as writer:
        for ann in data['annotations']:
            writer.write(ann, splits.get(ann['frame_dir'], []))


_WRITERS = {'.pkl': _write_pkl, '.json': _write_json, '.npz': _write_npz, '.arrow': _write_arrow}


def dump_annotations(data: dict[str, Any], path: str | os.PathLike) -> None:
    """Write valid annotations; the file appears complete or not at all.

    Args:
        data (dict): ``split``, ``annotations`` and optionally ``metainfo``, as returned by
            :func:`load_annotations`. ``.npz`` keeps the six fields
            that every annotation has.
        path (str or Path): Where to; the suffix ``.pkl``, ``.arrow``, ``.json`` or ``.npz``
            chooses the kind. ``.arrow`` stores float16.

    Raises:
        AnnotationError: If the suffix is another one, or ``.npz`` is asked to hold tracks.
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise AnnotationError(f'{path}: found suffix {path.suffix!r}, expected one of '
                              f'{sorted(_WRITERS)}')
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_at_once(path) as f:
        _WRITERS[path.suffix](data, f)


@contextmanager
def written_at_once(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears complete, when the block ends, or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix='.tmp')
    try:
        with os.fdopen(handle, 'wb') as f:
            yield f
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _visible(keypoint, score):
    return ((score >= SCORE_THRESHOLD) & keypoint.any(-1)).any()


def _all_finite(array):
    if array.dtype == np.float16:  # NumPy is slow at half precision: look at the exponents
        return ((array.view(np.uint16) & 0x7c00) != 0x7c00).all()
    return np.isfinite(array).all()


def _is_int(value):
    return (isinstance(value, (int, np.integer)) and not isinstance(value, bool)
            and -2**63 <= value < 2**63)


def _show(value):
    try:
        return repr(value)[:200]
    except Exception:  # Python does not write numbers of thousands of digits
        return type(value).__name__


def _wrong_track_field(ann):
    """What is wrong with the optional fields: field, found, expected; None if nothing is."""
    persons, total_frames = ann['keypoint'].shape[:1], ann['total_frames']
    if not isinstance(ann.get('clip', ''), str):
        return 'clip', _show(ann['clip']), 'a text'
    if 'track_id' in ann and not (_is_int(ann['track_id']) and persons in ((0,), (1,))):
        return ('track_id', f'{_show(ann["track_id"])} for {persons} persons',
                'an integer, for one person')
    for name, shapes in (('frame_inds', [(total_frames,)]),
                         ('frame_label', [(total_frames,), (*persons, total_frames)]),
                         ('segments', [(np.size(ann.get('segments', 0)) // 3, 3)])):
        if name not in ann:
            continue
        value = ann[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in 'iu':
            return name, getattr(value, 'dtype', type(value).__name__), 'an array of integers'
        if value.shape not in shapes:
            return name, f'shape {value.shape}', ' or '.join(map(str, shapes))
        if name == 'frame_inds' and (value[0] < 0 or value[-1] >= 2**31
                                     or (value[1:] <= value[:-1]).any()):
            return name, 'numbers that are negative, too large or do not ascend', (
                'the number of each frame in the video, ascending')
        if name == 'segments' and ((value < 0).any() or (value[:, 1] > value[:, 2]).any()):
            return name, 'negative numbers or an end before the start', (
                'label, first and last frame of each action')
    return None


def validate(ann: dict[str, Any], num_joints: int = 17, num_classes: int | None = None,
             allow_empty: bool = False, file: str = '',
             index: int | None = None, dims: int = 2) -> Problem | None:
    """Check one annotation; the first thing found wrong is returned.

    Any number of persons and frames is fine, and so are joints outside the image.

    Args:
        ann (dict): The annotation, see the module's head for the fields.
        num_joints (int): V.
        num_classes (int, optional): Labels must be below it; None leaves the top open.
        allow_empty (bool): Accept a clip without any person or visible joint. There is nothing
            to learn from it, but leaving it out of a test set would flatter the result.
        file (str): Named in the problem.
        index (int, optional): Named in the problem.
        dims (int): C, coordinates of a joint: 2 in pixels, or 3 in metres.

    Returns:
        Problem or None: None if the annotation can be used.
    """

    def problem(field, found, expected):
        return Problem(file, index, field, str(found), str(expected))

    if not isinstance(ann, dict):
        return problem('annotation', type(ann).__name__, 'a dict')
    for name in _FIELDS:
        if name not in ann:
            return problem(name, 'nothing', 'this field')
    label, total_frames, img_shape = ann['label'], ann['total_frames'], ann['img_shape']
    keypoint, score = ann['keypoint'], ann['keypoint_score']
    if not _is_int(label) or label < 0 or (num_classes is not None and label >= num_classes):
        return problem('label', _show(label), 'an integer >= 0' if num_classes is None else
                       f'an integer in [0, {num_classes - 1}]')
    if not (isinstance(img_shape, (tuple, list, np.ndarray)) and len(img_shape) == 2
            and all(_is_int(s) and s > 0 for s in img_shape)):
        return problem('img_shape', _show(img_shape), 'two positive integers (h, w)')
    if not _is_int(total_frames) or total_frames < 1:
        return problem('total_frames', _show(total_frames), 'at least one frame')
    for name in ('keypoint', 'keypoint_score'):
        value = ann[name]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in 'fiu':
            return problem(name, getattr(value, 'dtype', type(value).__name__),
                           'an array of numbers')
    wrong = _wrong_track_field(ann)
    if wrong is not None:
        return problem(*wrong)
    if len(keypoint.shape) > 0 and len(keypoint) == 0:
        return None if allow_empty else problem('keypoint', 'no person', 'at least one person')
    if keypoint.ndim != 4 or keypoint.shape[1:] != (total_frames, num_joints, dims):
        return problem('keypoint', f'shape {keypoint.shape}',
                       f'(persons, {total_frames} frames, {num_joints} joints, {dims})')
    if score.shape != keypoint.shape[:3]:
        return problem('keypoint_score', f'shape {score.shape}', keypoint.shape[:3])
    for name in ('keypoint', 'keypoint_score'):
        if not _all_finite(ann[name]):
            count = np.count_nonzero(~np.isfinite(ann[name]))
            return problem(name, f'{count} values that are NaN or infinite',
                           'finite numbers; missing joints as coordinates and score 0')
    # One frame nearly always decides, at a fraction of the cost.
    if not (allow_empty or _visible(keypoint[:, :1], score[:, :1]) or _visible(keypoint, score)):
        return problem('keypoint', 'all joints missing in all frames', 'at least one joint')
    return None


def complete_3d(ann: dict[str, Any]) -> dict[str, Any]:
    """An annotation of 3D joints with the fields that published files lack.

    Args:
        ann (dict): ``keypoint`` is (M, T, V, 3) in metres.

    Returns:
        dict: With ``keypoint_score``, 1 for joints that are not at the origin, and ``img_shape``
        (1, 1), for there is no image.
    """
    keypoint = ann.get('keypoint')
    if isinstance(keypoint, np.ndarray) and keypoint.ndim:
        ann = {'keypoint_score': keypoint.any(-1).astype(np.float16), **ann}
    return {'img_shape': (1, 1), **ann}


def summarise(problems: Sequence, limit: int = 5) -> str:
    """The first ``limit`` problems, one per line, and how many more there are."""
    lines = [f'  {problem}' for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f'  ... and {len(problems) - limit} more')
    return '\n'.join(lines)
