"""Memory-mapped Arrow files of annotations.

One row per annotation in the IPC file format (Feather version 2), with a column per scalar and
arrays as flat lists. Coordinates and scores are float16, as in published files.
"""
import json
import struct
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mofm.structures import visible_joints
from mofm.utils.checks import show
from mofm.utils.limits import get_limits
from mofm.utils.names import LENGTH, is_name
from mofm.utils.untrusted import parse_json

from .schema import MAX_FPS, file_error
from .values import MAX_COORDINATE, MAX_SCORE, MAX_SIZES, SMALL, SMALLEST_IMAGE, within

_SCALARS = dict(label='int64', height='int32', width='int32', num_person='int32',
                total_frames='int32', visible='bool_', num_joints='int32')
_LISTS = dict(keypoint='float16', keypoint_score='float16', frame_inds='int32',
              frame_label='int32', segments='int32', box='float16', track_ids='int64')
_OPTIONAL = ('clip', 'track_id', 'frame_inds', 'frame_label', 'segments', 'box', 'track_ids',
             'fps')
# Columns that files of earlier versions lack.
_LATER = ('fps', 'box', 'track_ids')
_BATCH = 2**22  # coordinates that complete a record batch
_ROWS = 2**13


def _pyarrow():
    try:
        import pyarrow
    except ImportError:  # optional
        raise ModuleNotFoundError(
            '.arrow files need pyarrow: pip install "pyarrow>=17,<21"') from None
    return pyarrow


def _schema(metainfo: dict):
    pa = _pyarrow()
    texts = [('frame_dir', pa.string()), ('clip', pa.string()), ('track_id', pa.int64()),
             ('split', pa.list_(pa.string()))]
    scalars = [(name, getattr(pa, kind)()) for name, kind in _SCALARS.items()]
    scalars.append(('fps', pa.float64()))
    lists = [(name, pa.list_(getattr(pa, kind)())) for name, kind in _LISTS.items()]
    return pa.schema(texts + scalars + lists, metadata={'mofm': json.dumps(metainfo)})


class ArrowWriter:
    """Incremental writer of annotations.

    Args:
        file (BinaryIO): File to write.
        metainfo (dict): Metadata such as class names, serializable as JSON.
    """

    def __init__(self, file: BinaryIO, metainfo: dict):
        self._schema = _schema(metainfo)
        self._file = _pyarrow().ipc.new_file(file, self._schema)
        self._rows: list[dict] = []
        self._size = 0

    def write(self, ann: dict[str, Any], splits: Sequence[str]):
        """Add a valid annotation (:func:`mofm.annotations.validate`).

        Args:
            ann (dict): The annotation; fields outside the schema are dropped.
            splits (Sequence[str]): Splits of the annotation.

        Raises:
            AnnotationError: If a number is too large for the type in the file.
        """
        keypoint, score = ann['keypoint'], ann['keypoint_score']
        row = {name: ann.get(name) for name in ('frame_dir', 'clip', 'track_id', 'label',
                                                'total_frames', 'fps')}
        if isinstance(row['track_id'], np.ndarray):
            ann, row['track_id'] = dict(ann, track_ids=row['track_id']), None
        row.update({name: _to_type(ann, name) for name in _LISTS})
        row.update(split=list(splits), num_person=len(keypoint),
                   num_joints=keypoint.shape[2] if keypoint.ndim == 4 else 0,
                   height=ann['img_shape'][0], width=ann['img_shape'][1],
                   visible=bool(visible_joints(keypoint, score).any()))
        self._rows.append(row)
        self._size += keypoint.size
        if self._size > _BATCH or len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self):
        pa, columns = _pyarrow(), []
        for field in self._schema:
            values = [row[field.name] for row in self._rows]
            if field.name in _LISTS:
                lengths = [0 if v is None else v.size for v in values]
                missing = np.array([v is None for v in values])
                parts = [v.ravel() for v in values if v is not None]
                columns.append(pa.ListArray.from_arrays(
                    pa.array(np.cumsum([0, *lengths]), pa.int32()),
                    pa.array(np.concatenate(parts) if parts else np.zeros(0, _LISTS[field.name])),
                    mask=pa.array(missing) if missing.any() else None))
            else:
                columns.append(pa.array(values, field.type))
        self._file.write_batch(pa.record_batch(columns, schema=self._schema))
        self._rows.clear()
        self._size = 0

    def __enter__(self) -> 'ArrowWriter':
        return self

    def __exit__(self, kind, *_):
        if kind is None and self._rows:
            self._flush()
        self._file.close()


class _Numbers:
    """Column of numbers as a sequence."""

    def __init__(self, column):
        column = column.fill_null(0) if column.null_count else column  # else a copy
        self.values = column.to_numpy(zero_copy_only=False)

    def __getitem__(self, i: int):
        return self.values.item(i)


class _Texts:
    """Column of texts as a sequence."""

    def __init__(self, column):
        self._valid, offsets, data = column.buffers()
        self._column, self._missing = column, column.null_count > 0
        self.offsets = np.frombuffer(offsets, np.int32, len(column) + 1)
        self.data = memoryview(data or b'')

    def __getitem__(self, i: int) -> str | None:
        if self._missing:
            return self._column[i].as_py()
        return str(self.data[self.offsets.item(i):self.offsets.item(i + 1)], 'utf-8')


class _Lists:
    """Column of lists as a sequence of arrays, which are copies.

    Attributes:
        offsets (np.ndarray): (N + 1,) starts of the rows in ``values``, without a copy.
        values (np.ndarray): All numbers, without a copy.
        rows_with_nulls (list[int]): Rows with a null among their numbers.
    """

    def __init__(self, column, kind: str):
        self.offsets, values = column.offsets.to_numpy(), column.values
        self.rows_with_nulls = []
        if values.null_count:
            where = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
            self.rows_with_nulls = np.unique(
                np.searchsorted(self.offsets, where, 'right') - 1).tolist()
            if kind != 'float16':  # else NaN
                values = values.fill_null(0)
        self.values = values.to_numpy(zero_copy_only=False)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.values[self.offsets.item(i):self.offsets.item(i + 1)].copy()


class _View:
    """Columns of a record batch as NumPy sees them, as objects of pyarrow are slow row by row."""

    def __init__(self, batch):
        self.scalars = [_Numbers(batch.column(name)).values for name in _SCALARS
                        if name != 'visible']
        self.names = _Texts(batch.column('frame_dir'))
        self.lists = {name: _Lists(batch.column(name), kind) for name, kind in _LISTS.items()}
        self.optional = {}
        for name in _OPTIONAL:
            column = batch.column(name)
            if column.null_count == batch.num_rows:
                continue
            valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
            self.optional[name] = valid, self.lists.get(name) or (
                _Texts if name == 'clip' else _Numbers)(column)


class ArrowFile:
    """Memory-mapped file of annotations, shared by processes.

    Args:
        path (str or Path): The file.

    Attributes:
        metainfo (dict): Metadata such as class names.
        dims (np.ndarray): (N,) number of coordinates per joint, 2 or 3.
        problems (dict[int, tuple[str, str, str]]): Field, found and expected value of annotations
            by row that lack a field or have an array of another length.

    Raises:
        ValueError: If the file has another structure or is damaged.
        OSError: If the file cannot be opened.
    """

    def __init__(self, path: str | Path):
        self.path = str(path)
        self.metainfo, self._batches = _read_batches(self.path)
        self._first = np.cumsum([0, *(batch.num_rows for batch in self._batches)]).tolist()
        self.problems = {}
        self._views = [_View(batch) for batch in self._batches]
        self._check()

    def __reduce__(self):
        return type(self), (self.path, )

    def __deepcopy__(self, memo):
        return self  # never written to

    def __len__(self) -> int:
        """Return the number of annotations."""
        return int(self._first[-1])

    def column(self, name: str) -> np.ndarray:
        """Return a scalar of every annotation, (N,), 0 where it is missing.

        Args:
            name (str): ``label``, ``height``, ``width``, ``num_person``, ``total_frames``,
                ``num_joints`` or ``visible`` (whether any joint is).
        """
        missing = False if name == 'visible' else 0
        parts = [batch.column(name).fill_null(missing).to_numpy(zero_copy_only=False)
                 for batch in self._batches]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    def _lengths(self, name: str) -> np.ndarray:
        """Return the lengths (N,) of a list column."""
        parts = [np.diff(view.lists[name].offsets) for view in self._views]
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)

    def _check(self):
        """Find missing scalars and lists of another length, but not invalid values."""
        shape = np.stack([self.column(name) for name in (
            'num_person', 'total_frames', 'num_joints')], 1)
        poses = shape.astype(np.float64).prod(1)  # which cannot overflow
        points, scores = self._lengths('keypoint'), self._lengths('keypoint_score')
        self.dims = np.where(points > 2 * poses, 3, 2).astype(np.int8)
        negative = (shape < 0).any(1)
        for name, found, wrong in (
                ('keypoint_score', scores, scores != poses),
                ('keypoint', points, negative | (points != self.dims * poses))):
            for row in np.flatnonzero(wrong).tolist():
                self.problems[row] = (
                    name, f'{found[row]} numbers',
                    'those of {} persons, {} frames and {} joints'.format(*shape[row]))
        for view, batch, first in zip(self._views, self._batches, self._first, strict=False):
            for name, values in view.lists.items():
                for row in values.rows_with_nulls:
                    self.problems[first + row] = name, 'a null among the numbers', 'numbers'
            for name in ('frame_dir', *_SCALARS, 'keypoint', 'keypoint_score'):
                if batch.column(name).null_count:
                    missing = batch.column(name).is_null().to_numpy(zero_copy_only=False)
                    for row in np.flatnonzero(missing).tolist():
                        self.problems[first + row] = name, 'nothing', 'this field'

    def suspects(self) -> np.ndarray:
        """Return the mask (N,) of annotations that may be invalid, after a look at all values.

        The others are valid, except for their label, layout and visibility.
        """
        height, width, persons, frames = (self.column(name) for name in (
            'height', 'width', 'num_person', 'total_frames'))
        limit = np.minimum(MAX_SIZES * np.maximum(height, width).astype(np.float64),
                           MAX_COORDINATE)
        limit[self.dims == 3] = MAX_COORDINATE
        most = get_limits().recording
        mask = (np.minimum(height, width) < 1) | (frames < 1) | (frames > most)
        largest = self._largest('keypoint')
        mask |= largest > limit.astype(np.float16).view(np.int16)
        mask |= ((largest > 0) & (largest <= np.float16(SMALL).view(np.int16)) & (self.dims == 2)
                 & (np.maximum(height, width) > SMALLEST_IMAGE))
        mask |= self._largest('keypoint_score') > np.float16(MAX_SCORE).view(np.int16)
        mask |= self._lengths('segments') > 0
        boxes, ids = self._lengths('box'), self._lengths('track_ids')
        mask |= (boxes > 0) & (boxes != 4. * persons * frames) | (ids > 0) & (ids != persons)
        mask |= self._largest('box') > np.float16(MAX_COORDINATE).view(np.int16)
        inds, labels = self._lengths('frame_inds'), self._lengths('frame_label')
        mask |= (inds > 0) & (inds != frames)
        mask |= (labels > 0) & (labels != frames) & (labels != persons * frames)
        mask[list(self.problems)] = True
        for first, view, batch in zip(self._first, self._views, self._batches, strict=False):
            part = mask[first:first + batch.num_rows]
            offsets, values = view.lists['frame_inds'].offsets, view.lists['frame_inds'].values
            wrong = np.flatnonzero(values[1:] <= values[:-1]) + 1
            wrong = np.r_[np.setdiff1d(wrong, offsets),
                          np.flatnonzero((values < 0) | (values >= most))]
            part[np.searchsorted(offsets, wrong, 'right') - 1] = True
            offsets, values = view.lists['box'].offsets, view.lists['box'].values
            if (offsets % 4).any():
                part |= np.diff(offsets) > 0
            else:
                corners = values[:offsets[-1]].reshape(-1, 4)
                wrong = np.flatnonzero((corners[:, 2:] < corners[:, :2]).any(1))
                part[np.searchsorted(offsets, 4 * wrong, 'right') - 1] = True
            if 'fps' in view.optional:
                fps = batch.column('fps').fill_null(1).to_numpy(zero_copy_only=False)
                part |= ~((fps > 0) & (fps < MAX_FPS))
            if 'track_id' in view.optional:
                part |= batch.column('track_id').is_valid().to_numpy(zero_copy_only=False) & (
                    persons[first:first + batch.num_rows] > 1)
            for name in ('frame_dir', *view.optional.keys() & {'clip'}):
                part |= _are_no_names(batch.column(name))
        return mask

    def _largest(self, name: str) -> np.ndarray:
        """Return the bits of the largest magnitude of a float16 list of every row, (N,) int16."""
        out = []
        for view in self._views:
            offsets, values = view.lists[name].offsets, view.lists[name].values
            filled, values = offsets[1:] > offsets[:-1], values[:offsets[-1]]
            largest = np.zeros(len(filled), np.int16)
            if filled.any():  # ordered by magnitude, negative numbers after the others if unsigned
                parts = [np.maximum.reduceat(values.view(kind), offsets[:-1][filled])
                         for kind in (np.int16, np.uint16)]
                largest[filled] = np.maximum(parts[0], (parts[1] & 0x7fff).astype(np.int16))
            out.append(largest)
        return np.concatenate(out) if out else np.zeros(0, np.int16)

    def splits(self) -> dict[str, np.ndarray]:
        """Return the ascending rows of every split."""
        out: dict[str, list[np.ndarray]] = {}
        for batch, first in zip(self._batches, self._first, strict=False):
            column = batch.column('split')
            names = column.flatten().dictionary_encode()
            parents = column.value_parent_indices().to_numpy(zero_copy_only=False)
            codes = names.indices.to_numpy(zero_copy_only=False)
            for code, name in enumerate(names.dictionary.to_pylist()):
                out.setdefault(name, []).append(first + parents[codes == code])
        return {name: np.concatenate(rows) for name, rows in out.items()}

    def ids(self) -> list[str]:
        """Return ``frame_dir`` of every annotation."""
        return [name for batch in self._batches for name in batch.column('frame_dir').to_pylist()]

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Read one annotation without validation of its values; some are None if invalid.

        Args:
            row (int): Index in [0, len(self)).

        Returns:
            dict: The annotation with copies of its arrays.
        """
        row = int(row)
        index = bisect_right(self._first, row) - 1
        i, view = row - self._first[index], self._views[index]
        label, height, width, persons, frames, joints = [array.item(i) for array in view.scalars]
        poses = (persons, frames, joints)
        if row in self.problems:
            keypoint = score = None
        else:
            keypoint = view.lists['keypoint'][i].reshape(*poses, self.dims.item(row))
            score = view.lists['keypoint_score'][i].reshape(poses)
        ann = dict(frame_dir=view.names[i], label=label, img_shape=(height, width),
                   total_frames=frames, keypoint=keypoint, keypoint_score=score)
        for name, (valid, column) in view.optional.items():
            if valid is None or valid[i]:
                ann[name] = column[i]
        if 'track_ids' in ann:
            ann['track_id'] = ann.pop('track_ids')
        for name, shape in (('frame_label', (persons, frames)), ('segments', (-1, 3)),
                            ('box', (persons, frames, 4))):
            if name in ann and (name != 'frame_label' or len(ann[name]) != frames):
                with suppress(ValueError):  # of another length
                    ann[name] = ann[name].reshape(shape)
        return ann


def _read_batches(path):
    """Read metadata and record batches of a file, without compressed or dictionary-encoded ones.

    Raises:
        ValueError: If the file has another structure or is damaged.
    """
    pa = _pyarrow()
    file = pa.memory_map(path)
    count = pa.ipc.open_file(file).num_record_batches
    file.seek(len('ARROW1\0\0'))  # a stream of messages, which are looked at before they are read
    messages = pa.ipc.MessageReader.open_stream(file.read_buffer())
    schema, expected = pa.ipc.read_schema(messages.read_next_message()), _schema({})
    later = [name for name in _LATER if name not in schema.names]
    if later == [*_LATER]:
        expected = pa.schema([field for field in expected if field.name not in later])
    else:
        later = []
    if not schema.equals(expected):
        raise ValueError(f'found columns {show(schema.names)}, expected {expected.names} with '
                         'their types')
    batches = []
    for message in messages:
        if message.type != 'record batch' or _is_compressed(bytes(message.metadata)):
            raise ValueError(f'found a compressed {message.type}, expected plain record batches')
        batches.append(pa.ipc.read_record_batch(message, schema))
        batches[-1].validate(full=True)
        for name in later:
            batches[-1] = batches[-1].append_column(
                name, pa.nulls(batches[-1].num_rows, _schema({}).field(name).type))
    if len(batches) != count:
        raise ValueError(f'found {len(batches)} record batches, expected {count}')
    metainfo = parse_json((schema.metadata or {}).get(b'mofm', b'{}'))
    if not isinstance(metainfo, dict):
        raise ValueError(f'found metainfo of type {type(metainfo).__name__}, expected a dict')
    return metainfo, batches


def _is_compressed(message: bytes) -> bool:
    """Return whether a record batch has the field ``compression`` in its Flatbuffers header."""

    def field(table, index):
        start = table - struct.unpack_from('<i', message, table)[0]
        size, = struct.unpack_from('<H', message, start)
        at = 4 + 2 * index
        offset = struct.unpack_from('<H', message, start + at)[0] if at < size else 0
        return offset and table + offset

    def pointer(at):
        return at + struct.unpack_from('<I', message, at)[0]

    header, compression = 2, 3  # of Message and RecordBatch in Apache Arrow's format/*.fbs
    return bool(field(pointer(field(pointer(0), header)), compression))


def _are_no_names(column) -> np.ndarray:
    """Return the mask (N,) of texts that are no names; without a look at each if all are usual."""
    import pyarrow.compute as pc
    usual = pc.and_(pc.ascii_is_printable(column), pc.less(pc.binary_length(column), LENGTH))
    mask = ~usual.fill_null(True).to_numpy(zero_copy_only=False)
    for i in np.flatnonzero(mask).tolist():
        mask[i] = not is_name(column[i].as_py())
    return mask


def _to_type(ann: dict[str, Any], name: str) -> np.ndarray | None:
    """Convert an array of an annotation to the type in the file, without overflow."""
    value, kind = ann.get(name), np.dtype(_LISTS[name])
    if value is None:
        return None
    largest = MAX_COORDINATE if kind.kind == 'f' else np.iinfo(kind).max
    finite = value[np.isfinite(value)] if kind.kind == 'f' else value
    if not within(finite, largest):
        raise file_error(f'annotation {ann["frame_dir"]!r}', name, 'numbers that are too large',
                         f'{kind} numbers within {largest:g}')
    return value.astype(kind)
