"""Poses whose joints are known by their names only, and tables in the form of DeepLabCut."""
import csv
import io
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations.unpickling import RestrictedUnpickler
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe, show
from mofm.utils.hdf5 import HDF5File, require_h5py

from ..base import Source
from ..joint_order import named_order
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

#: First bytes of an HDF5 file, and largest number of persons.
HDF5, PERSONS = b'\x89HDF', 250
_COLUMNS = 2**14  # at most
# What DeepLabCut and SLEAP add to the name of a video.
_ADDED = re.compile(r'(DLC_\w+?shuffle\d\w*|DLC_\w+?_snapshot_?\w+)?(_filtered)?$'
                    r'|(\.(mp4|avi|mov|mkv))?\.(predictions|analysis)$', re.IGNORECASE)


class NamedJoints(FramePoseSource):
    """Base class of the readers: joints of COCO-17 are found by their names, or by ``--map``.

    Raises:
        ImportError: If there are HDF5 files and h5py is not installed.
    """

    def find(self) -> list[str]:
        """List the files."""
        files = super().find()
        if not all(self.tree.filename(file).lower().endswith('.csv') for file in files):
            require_h5py()
        return files

    def stem(self, name: str) -> str:
        """Return the name of the video, without what the programs add."""
        path = PurePosixPath(name or self.tree.filename('')).with_suffix('')
        return (path.parent / (_ADDED.sub('', path.name) or path.name)).as_posix()

    def named(self, name: str, joints: Sequence[str], keypoint: np.ndarray, score: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray]:
        """Convert poses (N, J, 2) and scores (N, J) to :attr:`to_layout` by names of joints.

        Raises:
            AnnotationError: If the names are not those of humans and there is no map.
        """
        if not (self.joint_map or self.layout):
            order = named_order(joints)
            if order is None:
                raise self.error(name, 'names of joints', ' '.join(joints)[:500],
                                 'names like left_shoulder, --map with names of joints, or '
                                 '--layout if their order is one')
            used = {place for places in order.values() for place in places}
            left = [joint for i, joint in enumerate(joints) if i not in used]
            lacks = [joint for i, joint in enumerate(LAYOUTS['coco17'].joints) if i not in order]
            if left or lacks:
                said = {'joints of the file that are not used': left,
                        'joints of COCO-17 that it lacks': lacks}
                self.note(name, '; '.join(f'{text}: {show(names)}'
                                          for text, names in said.items() if names))
        return self.to_layout_joints(name, 'joints', keypoint, score, (), joints)

    def video(self, name: str, title: str, joints: Sequence[str], number: np.ndarray,
              keypoint: np.ndarray, score: np.ndarray, img_shape=None) -> FramePoses:
        """Return a video of persons that are known by their place.

        Args:
            name (str): The native file.
            title (str): Name of the recording.
            joints (Sequence[str]): Names of the J joints.
            number (np.ndarray): (T,) frames, in any order.
            keypoint (np.ndarray): (T, P, J, 2) of P persons, NaN where missing.
            score (np.ndarray): (T, P, J).
            img_shape (tuple[int, int], optional): Height and width.
        """
        frames, first = np.unique(number, return_index=True)
        if len(frames) < len(number):
            raise self.error(name, 'frames', 'a number twice', 'different numbers')
        keypoint, score = keypoint[first], score[first]
        row, person = np.nonzero(np.isfinite(keypoint).all(-1).any(-1))
        points, scores = self.named(name, joints, keypoint[row, person], score[row, person])
        return FramePoses(title, frames, frames[row], points, scores, person, img_shape)


def read_rows(lines: Sequence[str], columns: Sequence[int]) -> np.ndarray:
    """Read numbers (T, N) of N columns of a table, NaN where a cell is empty.

    Raises:
        ValueError: If a line has fewer cells or other values.
    """
    text = re.sub(r'(?:(?<=,)|^)[ \t]*(?=,|$)', 'nan', '\n'.join(lines), flags=re.MULTILINE)
    return np.loadtxt(io.StringIO(text), delimiter=',', comments=None, ndmin=2, usecols=columns,
                      quotechar='"')


def read_csv(source: Source, name: str, content: bytes
             ) -> tuple[list[tuple[str, ...]], list[str], np.ndarray]:
    """Read a table in the form of DeepLabCut.

    Args:
        source (Source): The reader.
        name (str): The native file.
        content (bytes): Its content.

    Returns:
        tuple: Columns as (individual, joint, coordinate), T names of rows and values (T, columns),
        NaN where empty.

    Raises:
        AnnotationError: If it has another form.
    """
    try:
        text = content.decode('utf-8-sig')
        if text[6:7] in (';', '\t'):  # as spreadsheets write it, maybe with decimal commas
            text = text.replace(',', '.').replace(text[6], ',')
        lines = text.splitlines()
        header = {row[0].strip().lower(): row for row in csv.reader(lines[:4]) if row}
        count = list(header).index('coords') + 1
        coords, parts = header['coords'], header['bodyparts']
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise source.error(name, 'header', describe(error),
                         "rows 'scorer', 'bodyparts' and 'coords'") from None
    first = next((i for i, coord in enumerate(coords) if i and coord.strip()), len(coords))
    persons = header.get('individuals', [''] * len(coords))
    if not len(coords) == len(parts) == len(persons) <= _COLUMNS:
        raise source.error(name, 'header', f'rows of {len(parts)} and {len(coords)} cells',
                         f'the same number, at most {_COLUMNS}')
    columns = [tuple(cell.strip() for cell in column) for column in zip(
        persons[first:], parts[first:], coords[first:], strict=True)]
    body = [line for line in lines[count:] if line.strip()]
    if not body:
        raise source.error(name, 'rows', 'none', f'{len(columns)} numbers per row')
    try:
        rows = ['/'.join(cell.strip() for cell in row[:first])
                for row in csv.reader(line[:2000] for line in body)]
        values = read_rows(body, range(first, len(coords)))
        if len(values) != len(rows):
            raise ValueError(f'{len(values)} rows')
    except (ValueError, csv.Error) as error:
        raise source.error(name, 'rows', describe(error)[:300],
                         f'{len(columns)} numbers per row') from None
    return columns, rows, values


def read_hdf5(source: Source, name: str, content: bytes
              ) -> tuple[list[tuple[str, ...]], list[str], np.ndarray]:
    """Read a table in the form of DeepLabCut that pandas wrote, see :func:`read_csv`."""
    try:
        with HDF5File(content) as file:
            key = next((key for key in file.groups()
                        if file.attribute(key, 'pandas_type') is not None), None)
            if key is None:
                raise ValueError('no table of pandas')
            columns, rows, values = (_table if file.find(f'{key}/table') else _fixed)(
                file, key)
        columns = [tuple(str(part) for part in column) for column in columns]
        if not len(columns) == values.shape[1] <= _COLUMNS or not len(values) or any(
                len(column) not in (3, 4) for column in columns):
            raise ValueError(f'{len(columns)} columns of values {values.shape}')
    except Exception as error:  # the parsers raise many kinds for damaged bytes
        raise source.error(name, 'file', describe(error),
                         'an .h5 file as DeepLabCut writes it, or its .csv') from None
    columns = [column[1:] if len(column) == 4 else ('', *column[1:]) for column in columns]
    return columns, [str(row) for row in rows], values.astype(np.float64)


def read_table(source: Source, name: str, content: bytes
               ) -> tuple[list[tuple[str, ...]], list[str], np.ndarray]:
    """Read a table in the form of DeepLabCut, see :func:`read_csv`."""
    return (read_hdf5 if content.startswith(HDF5) else read_csv)(source, name, content)


def is_hdf5_table(sample: Sample, dims: int) -> bool:
    """Return whether a file is a table in HDF5 with joints in 2D or 3D."""
    return sample.head.startswith(HDF5) and sample.contains(b'pandas_type', b'bodyparts') and (
        sample.contains(b'\nVz\n') == (dims == 3))


def without_copies(source: Source, files: list[str]) -> list[str]:
    """Leave out ``.h5`` files beside a ``.csv`` of their name, which is noted."""
    stems = {re.sub(r'(?i)\.csv$', '', file) for file in files}
    keep = [file for file in files if not file.lower().endswith('.h5') or file[:-3] not in stems]
    if len(keep) < len(files):
        source.note(min(set(files) - set(keep)), '.h5 files are passed over beside a .csv, '
                    f'{len(files) - len(keep)} in total')
    return keep


def _table(file, key):
    """Read a table of pandas in the format 'table'."""
    data = file.array(f'{key}/table')
    values = [field for field in data.dtype.names if field.startswith('values_block_')]
    if len(values) != 1:
        raise ValueError(f'{len(values)} blocks of values')
    columns = RestrictedUnpickler(io.BytesIO(as_bytes(
        file.attribute(f'{key}/table', f'{values[0]}_kind')))).load()
    if not isinstance(columns, list) or not all(isinstance(c, tuple) for c in columns):
        raise ValueError('no names of columns')
    index = data['index']
    rows = [row.decode() for row in index.tolist()] if index.dtype.kind == 'S' else index.tolist()
    return columns, rows, data[values[0]]


def _fixed(file, key):
    """Read a table of pandas in the format 'fixed'."""

    def labels(axis):
        levels = []
        while file.find(f'{key}/{axis}_level{len(levels)}') is not None:
            level = file.array(f'{key}/{axis}_level{len(levels)}')
            label = file.array(f'{key}/{axis}_label{len(levels)}')
            if level.ndim != 1 or label.ndim != 1 or label.dtype.kind not in 'iu' or (
                    (label < 0) | (label >= len(level))).any():
                raise ValueError(f'labels of {axis}')
            texts = [t.decode() if isinstance(t, bytes) else str(t) for t in level.tolist()]
            levels.append([texts[i] for i in label.tolist()])
        return list(zip(*levels, strict=True))

    columns, rows = labels('block0_items'), ['/'.join(row) for row in labels('axis1')]
    values = file.array(f'{key}/block0_values')
    rows = rows or file.array(f'{key}/axis1').tolist()
    if values.ndim != 2 or len(rows) != len(values) or file.find(f'{key}/block1_values'):
        raise ValueError(f'values of shape {values.shape}')
    return columns, [row.decode() if isinstance(row, bytes) else row for row in rows], values


def as_bytes(text: str | bytes) -> bytes:
    """Encode a text, as h5py returns bytes or str."""
    return text.encode() if isinstance(text, str) else bytes(text)
