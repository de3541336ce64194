"""Annotation files: safe reading and atomic writing.

There are four formats. ``.pkl`` is that of published files, ``.arrow`` that of large corpora
(:mod:`mofm.annotations.arrow`). ``.json`` is ``.pkl`` with nested lists. ``.npz`` is columnar, N
clips with P = sum(M * T) concatenated person-frames: ``keypoint`` (P, V, 2), ``keypoint_score``
(P, V), ``num_person``, ``total_frames``, ``label``, ``frame_dir`` (N,), ``img_shape`` (N, 2),
``split.<name>`` (IDs) and ``metainfo`` (JSON text). ``fps`` (N,) is NaN and ``box`` (P, 4) too
where an annotation has none; ``track_id`` (sum(M),) counts where ``tracked`` (N,).
"""
import json
import os
import pickle
from collections.abc import Set
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mofm.utils.checks import describe, show, typed
from mofm.utils.files import atomic_write
from mofm.utils.limits import LimitError, exceeds, get_limits
from mofm.utils.names import NAME, is_name
from mofm.utils.remote import local_copy
from mofm.utils.untrusted import parse_json, read_npz, to_array
from mofm.utils.urls import is_url, mask

from .arrow import ArrowFile, ArrowWriter
from .schema import TRACK_ARRAYS, AnnotationError, Problem, UnreadableError
from .unpickling import RestrictedUnpickler

_ROW = 1000  # bytes of an annotation without its arrays, roughly
_COLUMNS = ('frame_dir', 'label', 'img_shape', 'total_frames', 'num_person')


def _read_pkl(path):
    with open(path, 'rb') as f:
        return RestrictedUnpickler(f).load()


def _read_json(path):
    data = parse_json(Path(path).read_text(encoding='utf-8'))
    if isinstance(data, dict) and 'shards' in data:
        raise AnnotationError("found a manifest of shards, expected annotations; "
                              "type='MotionCorpus' reads it, with dataset_type for other data "
                              'sets than MotionDataset')
    annotations = data['annotations'] if isinstance(data, dict) else data
    dtypes = dict(keypoint=np.float32, keypoint_score=np.float32, box=np.float32,
                  **dict.fromkeys(TRACK_ARRAYS))
    for ann in annotations:
        for name in dtypes.keys() & ann if isinstance(ann, dict) else ():
            with suppress(ValueError, TypeError, OverflowError):  # else a list, which is invalid
                ann[name] = to_array(ann[name], dtypes[name])
                if name == 'segments' and not ann[name].size:
                    ann[name] = np.zeros((0, 3), np.int64)
        if isinstance(ann, dict) and isinstance(ann.get('track_id'), list):
            with suppress(ValueError, TypeError, OverflowError):
                ann['track_id'] = to_array(ann['track_id'], None if ann['track_id'] else np.int64)
    return data


def _read_npz(path):
    data = read_npz(path)
    keypoint, score = data['keypoint'], data['keypoint_score']
    count, size = len(data['label']), os.path.getsize(path)
    if _ROW * count > get_limits().expanded(size):
        raise exceeds(f'{count} annotations in {size} bytes', 'expansion')
    for name in ('num_person', 'total_frames'):
        if data[name].ndim != 1 or data[name].dtype.kind not in 'iu' or (data[name] < 0).any():
            raise AnnotationError(f'{name}: found {data[name].dtype} of shape {data[name].shape}, '
                                  'expected integers of at least 0, (N,)')
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
        raise AnnotationError(f'keypoint has {len(keypoint)} and keypoint_score {len(score)} '
                              f'person-frames, num_person * total_frames sums to {start}')
    _add_optional(data, annotations)
    split = {name[6:]: ids.tolist() for name, ids in data.items() if name.startswith('split.')}
    return dict(split=split, annotations=annotations, metainfo=parse_json(str(data['metainfo'])))


def _add_optional(data, annotations):
    """Add the columns of ``.npz`` files that not all annotations have."""
    persons = np.cumsum([0, *(len(ann['keypoint']) for ann in annotations)])
    poses = np.cumsum([0, *(ann['keypoint'][..., 0, 0].size for ann in annotations)])
    for name, shape in (('fps', (len(annotations), )), ('track_id', persons[-1:]),
                        ('tracked', (len(annotations), )), ('box', (poses[-1], 4))):
        if name in data and data[name].shape != tuple(shape):
            raise AnnotationError(f'{name}: found shape {data[name].shape}, expected {shape}')
    tracked = data.get('tracked', np.zeros(len(annotations)))
    for i, ann in enumerate(annotations):
        if 'fps' in data and not np.isnan(data['fps'][i]):
            ann['fps'] = data['fps'][i].item()
        if 'track_id' in data and tracked[i]:
            ann['track_id'] = data['track_id'][persons[i]:persons[i + 1]]
        if 'box' in data and not np.isnan(data['box'][poses[i]:poses[i + 1]]).all():
            ann['box'] = data['box'][poses[i]:poses[i + 1]].reshape(*ann['keypoint'].shape[:2], 4)


def open_arrow(path: str | os.PathLike) -> ArrowFile:
    """Open an ``.arrow`` file, or a local copy of one at a URL, without reading it.

    Raises:
        UnreadableError: If the file is missing, damaged or has another structure.
    """
    local = local_file(path)
    try:
        file = ArrowFile(local)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise _unreadable(_shown(path), error) from error
    if not len(file):
        raise UnreadableError(f'{_shown(path)}: found no annotations')
    return file


def local_file(path: str | os.PathLike) -> str:
    """Return the path of an existing file, which is a local copy for a URL.

    Args:
        path (str or Path): A path, or a URL (:func:`mofm.utils.remote.local_copy`).

    Raises:
        UnreadableError: If there is no such file, or the server or the library for it does not
            answer.
    """
    path = os.fspath(path)
    if is_url(path):
        try:
            return str(local_copy(path))
        except ImportError as error:
            raise ModuleNotFoundError(f'{mask(path)}: ann_file: {error}; pip install '
                                      '"mofm[remote]" has s3, gs and http') from None
        except Exception as error:  # the libraries raise many kinds
            raise UnreadableError(Problem(mask(path), None, 'ann_file', describe(error),
                                          'a file that can be downloaded')) from error
    if not os.path.isfile(path):
        raise UnreadableError(f'{path}: no such file; create it with mofm prepare or '
                              'correct ann_file')
    return path


def _shown(path):
    return mask(os.fspath(path))


def _unreadable(path, error):
    return UnreadableError(
        f'{path}: cannot be read, it may be truncated or not be a {os.path.splitext(path)[1]} '
        f'file ({describe(error)}); download or create it again')


def _read_arrow(path):
    file = open_arrow(path)
    annotations = [file[row] for row in range(len(file))]
    split = {name: [annotations[row]['frame_dir'] for row in rows]
             for name, rows in file.splits().items()}
    return dict(split=split, annotations=annotations, metainfo=file.metainfo)


_READERS = {'.pkl': _read_pkl, '.json': _read_json, '.npz': _read_npz, '.arrow': _read_arrow}


def load_annotations(path: str | os.PathLike) -> dict[str, Any]:
    """Read an untrusted annotation file.

    Args:
        path (str or Path): A ``.pkl``, ``.arrow``, ``.json`` or ``.npz`` file, or the URL of one.

    Returns:
        dict: ``annotations`` (list[dict]), ``split`` (dict of lists of IDs; empty for a plain
        list) and ``metainfo`` (dict). The annotations are not validated, see :func:`validate`; a
        ``filename`` is renamed to ``frame_dir``.

    Raises:
        UnreadableError: If the file is missing, truncated or empty, has another structure, or
            contains a class that is not allowed; the message names the file and the reason.
    """
    name, path = os.fspath(path), _shown(path)
    suffix = os.path.splitext(path)[1]
    if suffix not in _READERS:
        raise AnnotationError(f'{path}: found suffix {suffix!r}, expected one of '
                              f'{sorted(_READERS)}')
    local = local_file(name)
    try:
        return _normalize(_READERS[suffix](local))
    except (AnnotationError, LimitError) as error:
        raise UnreadableError(
            str(error) if path in str(error) else f'{path}: {error}') from None
    except ModuleNotFoundError:
        raise
    except Exception as error:  # the parsers raise many kinds for damaged bytes
        raise _unreadable(path, error) from error


def _normalize(data) -> dict[str, Any]:
    """Return the content of a file with all three keys.

    Raises:
        AnnotationError: If the structure is different.
    """
    if isinstance(data, list):
        data = dict(annotations=data)
    if not isinstance(data, dict) or not isinstance(data.get('annotations'), list):
        found = show(list(data)) if isinstance(data, dict) else typed(data)
        raise AnnotationError(f"found {found} at the top level, expected a dict with 'split' and "
                              "'annotations', or a list of annotations")
    if not data['annotations']:
        raise AnnotationError('found no annotations')
    data = {'split': {}, 'metainfo': {}, **data}
    for key in ('split', 'metainfo'):
        if not isinstance(data[key], dict):
            raise AnnotationError(f'{key}: found {typed(data[key])}, expected a dict')
    names = data['metainfo'].get('classes', [])
    check_names('metainfo.classes', names)
    check_names('split', list(data['split']))
    for name, ids in data['split'].items():
        check_names(name, list(ids) if isinstance(ids, Set) else ids)
    for ann in data['annotations']:
        if isinstance(ann, dict) and 'filename' in ann:  # of older files, where it is the id
            ann['frame_dir'] = ann.pop('filename')
    return data


def check_names(field: str, names: object):
    """Check names of classes, splits or annotations.

    Raises:
        AnnotationError: If these are no list of names.
    """
    if not isinstance(names, (list, tuple, np.ndarray)):
        raise AnnotationError(f'{field}: found {show(names)}, expected a list of strings')
    for name in names:
        if not is_name(name):
            raise AnnotationError(f'{field}: found {show(name)}, expected a list of strings, each '
                                  f'{NAME}')


def _write_pkl(data, f):
    pickle.dump(data, f, protocol=4)


def _write_json(data, f):
    f.write(json.dumps(data, default=lambda value: value.tolist(),  # NumPy
                       allow_nan=False).encode())


def _write_npz(data, f):
    anns = data['annotations']
    if any({'clip', *TRACK_ARRAYS} & ann.keys() or np.ndim(ann.get('track_id', [])) != 1
           for ann in anns):
        raise AnnotationError('.npz does not support tracks; write .pkl or .json')
    columns = {name: np.array([a[name] for a in anns]) for name in _COLUMNS[:-1]}
    columns['num_person'] = np.array([len(a['keypoint']) for a in anns])
    for name in ('keypoint', 'keypoint_score'):
        columns[name] = np.concatenate([a[name].reshape(-1, *a[name].shape[2:]) for a in anns])
    columns.update({f'split.{name}': np.array(ids, str) for name, ids in data['split'].items()})
    if any('fps' in ann for ann in anns):
        columns['fps'] = np.array([ann.get('fps', np.nan) for ann in anns], np.float64)
    if any('track_id' in ann for ann in anns):
        columns['tracked'] = np.array(['track_id' in ann for ann in anns])
        columns['track_id'] = np.concatenate([
            ann.get('track_id', np.zeros(len(ann['keypoint']), np.int64)) for ann in anns])
    if any('box' in ann for ann in anns):
        columns['box'] = np.concatenate([
            ann['box'].reshape(-1, 4) if 'box' in ann else
            np.full((ann['keypoint'][..., 0, 0].size, 4), np.nan) for ann in anns])
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
    """Write valid annotations atomically.

    Args:
        data (dict): ``split``, ``annotations`` and optionally ``metainfo``, as returned by
            :func:`load_annotations`. ``.npz`` keeps the six required fields, ``box``,
            ``fps`` and IDs of several persons only.
        path (str or Path): A ``.pkl``, ``.arrow``, ``.json`` or ``.npz`` file. ``.arrow`` stores
            float16.

    Raises:
        AnnotationError: If the suffix is unknown, or tracks are written to ``.npz``.
    """
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise AnnotationError(f'{path}: found suffix {path.suffix!r}, expected one of '
                              f'{sorted(_WRITERS)}')
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as f:
        _WRITERS[path.suffix](data, f)


