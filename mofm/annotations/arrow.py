"""Memory-mapped Arrow files of annotations.

One row per annotation in the IPC file format (Feather version 2), with a column per scalar and
arrays as flat lists. Coordinates and scores are float16, as in published files.
"""
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mofm.structures import visible_joints

from .schema import file_error
from .values import MAX_COORDINATE, within

_SCALARS = dict(label='int64', height='int32', width='int32', num_person='int32',
                total_frames='int32', visible='bool_', num_joints='int32')
_LISTS = dict(keypoint='float16', keypoint_score='float16', frame_inds='int32',
              frame_label='int32', segments='int32')
_OPTIONAL = ('clip', 'track_id', 'frame_inds', 'frame_label', 'segments')
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
                                                'total_frames')}
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


class ArrowFile:
    """Memory-mapped file of annotations, shared by processes.

    Args:
        path (str or Path): The file.

    Attributes:
        metainfo (dict): Metadata such as class names.
        dims (np.ndarray): (N,) number of coordinates per joint, 2 or 3.

    Raises:
        ValueError: If the file has another structure or is damaged.
        OSError: If the file cannot be opened.
    """

    def __init__(self, path: str | Path):
        pa = _pyarrow()
        self.path = str(path)
        self._file = pa.ipc.open_file(pa.memory_map(self.path))
        expected = _schema({})
        if not self._file.schema.equals(expected):
            raise ValueError(f'found columns {self._file.schema.names}, expected '
                             f'{expected.names} with their types')
        self.metainfo = json.loads((self._file.schema.metadata or {}).get(b'mofm', b'{}'))
        self._batches = [self._file.get_batch(i) for i in range(self._file.num_record_batches)]
        for batch in self._batches:
            batch.validate(full=True)
        self._first = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        # cached, as a batch creates a new object at every access to a column
        self._lists = [{name: _offsets_and_values(batch.column(name)) for name in _LISTS}
                       for batch in self._batches]
        self._optional = [{name: batch.column(name) for name in _OPTIONAL
                           if batch.column(name).null_count < batch.num_rows}
                          for batch in self._batches]
        self._ids = [batch.column('frame_dir') for batch in self._batches]
        self._check()

    def __reduce__(self):
        return type(self), (self.path, )

    def __deepcopy__(self, memo):
        return self  # never written to

    def __len__(self) -> int:
        """Return the number of annotations."""
        return int(self._first[-1])

    def column(self, name: str) -> np.ndarray:
        """Return a scalar of every annotation, (N,).

        Args:
            name (str): ``label``, ``height``, ``width``, ``num_person``, ``total_frames``,
                ``num_joints`` or ``visible`` (whether any joint is).
        """
        parts = [batch.column(name).to_numpy(zero_copy_only=False) for batch in self._batches]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    def _check(self):
        """Check the lengths of all lists, but not their values."""
        rows = {name: np.concatenate([np.diff(lists[name][0]) for lists in self._lists] or [[]])
                for name in _LISTS}
        columns = {name: self.column(name) for name in _SCALARS}
        if any(column.dtype.kind not in 'ib' for column in columns.values()):
            raise ValueError('found rows without a label, a size or a length')
        # stacked for a single access per row
        self._numbers = np.stack(list(columns.values()), 1).astype(np.int64)  # (N, 7)
        poses = self._numbers[:, 3] * columns['total_frames'] * columns['num_joints']
        self.dims = np.where(rows['keypoint'] > 2 * poses, 3, 2)
        if (poses < 0).any() or (rows['keypoint'] != self.dims * poses).any() or (
                rows['keypoint_score'] != poses).any():
            raise ValueError('length of keypoint or keypoint_score does not match num_person, '
                             'total_frames and num_joints')

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
        return [name for names in self._ids for name in names.to_pylist()]

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Read one annotation without validation of its values.

        Args:
            row (int): Index in [0, len(self)).

        Returns:
            dict: The annotation with copies of its arrays.
        """
        index = int(np.searchsorted(self._first, row, 'right')) - 1
        i = int(row - self._first[index])
        lists = self._lists[index]
        label, height, width, persons, frames, _, joints = self._numbers[row].tolist()
        poses = (persons, frames, joints)
        ann = dict(
            frame_dir=self._ids[index][i].as_py(),
            label=label,
            img_shape=(height, width),
            total_frames=frames,
            keypoint=_cut(lists['keypoint'], i).reshape(*poses, self.dims[row]),
            keypoint_score=_cut(lists['keypoint_score'], i).reshape(poses))
        for name, column in self._optional[index].items():
            value = column[i]
            if value.is_valid:
                ann[name] = _cut(lists[name], i) if name in lists else value.as_py()
        if 'frame_label' in ann and len(ann['frame_label']) != frames:
            ann['frame_label'] = ann['frame_label'].reshape(persons, -1)
        if 'segments' in ann:
            ann['segments'] = ann['segments'].reshape(-1, 3)
        return ann


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


def _offsets_and_values(column) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets of the rows (N + 1,) and values of a list column."""
    return column.offsets.to_numpy(), column.values.to_numpy(zero_copy_only=False)


def _cut(column: tuple[np.ndarray, np.ndarray], i: int) -> np.ndarray:
    """Copy row ``i``."""
    offsets, values = column
    return values[offsets[i]:offsets[i + 1]].copy()
