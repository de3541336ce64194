"""Columns of tables of poses in CSV and Parquet files, long and wide.

Long tables have one row a frame, person and joint; wide ones one row a frame and person, with
columns for each joint (:mod:`mofm.sources.wide_columns`).
"""
import io
import re

import numpy as np

from mofm.annotations import AnnotationError
from mofm.utils.checks import describe
from mofm.utils.limits import get_limits
from mofm.utils.names import NAME, is_name
from mofm.utils.tables import BOX_COLUMNS, plain_cell

from .base import Source
from .joint_maps import fitting_maps, short_names
from .joint_order import unknown_joints
from .recognition import Sample
from .wide_columns import WideColumns, find_wide_columns, long_columns, split_column

SUFFIXES = ('.csv', '.tsv', '.parquet')
_NUMBERS = ('frame', 'x', 'y', 'z', 'score', 'label', 'height', 'width', *BOX_COLUMNS)
_NAMES = ('clip', 'track', 'person', 'joint')
_ROW = 100  # bytes of a row in memory, roughly
_RECOGNIZED = 4  # joints of a wide table


def recognize_table(sample: Sample, axes: str) -> str | None:
    """Say why a file is a table with such axes, 'xy' or 'xyz'. It may raise for other content."""
    if sample.head[:4] == b'PAR1':
        from pyarrow.parquet import read_schema

        header = read_schema(io.BytesIO(sample.tree.read(sample.name, 2**24))).names
    else:
        header, _ = _header(b'\n'.join(sample.head.splitlines()[:2]).decode('utf-8-sig'))
    columns = {_column(name) for name in header}
    if long := long_columns(header):
        fits = 'frame' in long and ('z' in long) == ('z' in axes) and not _has_landmarks(sample)
        return f'a table with the columns frame, joint, {_listed(axes)}' if fits else None
    found = [split_column(name) for name in header]
    names = list(dict.fromkeys(joint for joint, axis in found if axis in ('x', 'y', 'z')))
    known = len(names) - len(unknown_names(names))
    is_body = known >= _RECOGNIZED or 'z' in axes and bool(fitting_maps(names))
    has_z = any(axis == 'z' for _, axis in found)
    fits = is_body and has_z == ('z' in axes) and not _is_of_program(columns)
    return f'a table with {_listed(axes)} of {len(names)} joints in a row' if fits else None


def _has_landmarks(sample: Sample) -> bool:
    """Return whether a long table has all landmarks of MediaPipe."""
    return bool(re.search(b'(?i)landmark|keypoint', sample.head.splitlines()[0])) and bool(
        re.search(b'(?i)foot_?index', sample.head))


def _is_of_program(columns: set[str]) -> bool:
    """Return whether SLEAP, Anipose, FreeMoCap or MediaPipe write such a wide table."""
    return 'fnum' in columns or any(
        re.search('foot_?index|eye_inner_z', column) or column.endswith('.x') and 'frame_idx' in
        columns for column in columns)


def unknown_names(names: list[str]) -> list[str]:
    """List the joints of no layout, also without the first words that all have."""
    return unknown_joints(names) and unknown_joints(short_names(names))


def _listed(axes: str) -> str:
    return f'{", ".join(axes[:-1])} and {axes[-1]}'


def _header(text: str) -> tuple[list[str], int]:
    """Return the names of the columns of a CSV file, and how many lines they have.

    In a second line, ``x`` and ``y`` may be below the names of joints, each of which may be over
    the first of its columns only.
    """
    top, *more = (_cells(line) for line in text.split('\n', 2)[:2])
    axes = more[0] if more else []
    if len(axes) != len(top) or [axis.lower() for axis in axes].count('x') < _RECOGNIZED:
        return top, 1
    names, joint = [], ''
    for name, axis in zip(top, axes, strict=True):
        joint = name or joint
        names.append(f'{joint}_{axis}' if split_column(f'joint_{axis}')[1] else axis or name)
    return names, 2


def _cells(line: str) -> list[str]:
    """Split a line of the header of a CSV file."""
    return [name.strip(' "\r') for name in line.split(_delimiter(line))]


def _delimiter(line: str) -> str:
    return max(',;\t', key=line.count)


def _column(name: str) -> str:
    """Return the name of a column, in lower case."""
    return name.strip(' "').lower()


class TableFile:
    """Reader of the columns of one table.

    Args:
        source (Source): For errors and the decoding of text.
        name (str): The native file.
        axes (str): Columns of the coordinates, 'xy' or 'xyz'.
    """

    def __init__(self, source: Source, name: str, axes: str):
        self.source, self.name, self.axes = source, name, axes
        #: Places of the columns of a wide table that was read.
        self.wide: WideColumns | None = None

    def error(self, field: str, found: object, expected: object) -> AnnotationError:
        """Return an error about the file."""
        return self.source.error(self.name, field, found, expected)

    def columns(self, data: bytes) -> dict:
        """Read columns: arrays of numbers, and names with their index (N,)."""
        try:
            table = self._parquet(data) if data[:4] == b'PAR1' else self._csv(data)
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise error if isinstance(error, AnnotationError) else self.error(
                'file', describe(error), 'a readable table') from None
        if not len(table):
            raise self.error('columns', 'no row', 'a row a frame, person and joint')
        out = {}
        for column in table.column_names:
            values = table[column].combine_chunks()
            if self._is_number(column):
                out[column] = values.to_numpy(zero_copy_only=False).astype(np.float64)
            elif values.null_count < len(values):
                texts = values.dictionary_encode()
                names = [plain_cell(text) for text in texts.dictionary.to_pylist()]
                out[column] = names, texts.indices.fill_null(-1).to_numpy().astype(np.int64)
        if self.wide:
            out = self._wide_columns(out)
        elif any(np.isnan(out[axis]).all() for axis in self.axes):
            raise self.error(', '.join(self.axes), 'no number', 'coordinates')
        for column in ('clip', 'joint'):
            names, index = out.get(column, ([], np.zeros(0)))
            wrong = next((text for text in names if not is_name(text) or not text), None)
            if wrong is not None or (index < 0).any() or (
                    column == 'joint' and not self.wide and not names):
                raise self.error(column, 'empty cells' if wrong is None else wrong, NAME)
        return out

    def _csv(self, data):
        """Parse text; numbers that are no numbers raise an error with the row."""
        import pyarrow as pa
        from pyarrow import csv

        text = self.source.text(self.name, data)
        delimiter = _delimiter(text.partition('\n')[0])
        header, lines = _header(text)
        names = self._roles(header)
        names = [column if names.count(column) == 1 else f'{column} {i}'
                 for i, column in enumerate(names)]
        point = ',' if delimiter != ',' and re.search(r'\d,\d', text[:2**16]) else '.'
        known = [column for column in names if self._is_used(column)]
        return csv.read_csv(
            io.BytesIO(text.encode()),
            csv.ReadOptions(column_names=names, skip_rows=lines, use_threads=False),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
            csv.ConvertOptions(include_columns=known, decimal_point=point, column_types={
                column: pa.float64() if self._is_number(column) else pa.string()
                for column in known},
                null_values=['', 'NA', 'NaN', 'nan', 'null', 'None'],
                strings_can_be_null=True))

    def _parquet(self, data):
        """Read the known columns of a Parquet file."""
        import pyarrow as pa
        from pyarrow import parquet

        file = parquet.ParquetFile(io.BytesIO(data))
        names = file.schema_arrow.names
        roles = dict(zip(names, self._roles(names), strict=True))
        names = [column for column in names if self._is_used(roles[column])]
        known = [roles[column] for column in names]
        if len(set(known)) < len(known):
            raise self.error('columns', names, 'every column once')
        size = max(file.metadata.num_rows * _ROW, sum(
            file.metadata.row_group(i).total_byte_size
            for i in range(file.metadata.num_row_groups)))
        if size > get_limits().expanded(len(data)):
            raise self.error('rows', f'{file.metadata.num_rows} in {len(data)} bytes',
                             'a table of usual size (MOFM_LIMITS=expansion=N)')
        table = file.read(names, use_threads=False).select(names).rename_columns(known)
        table.validate(full=True)
        for i, column in enumerate(known):
            kind = table.schema.field(column).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            text = not self._is_number(column)
            if not (numeric or pa.types.is_null(kind) or text and (
                    pa.types.is_string(kind) or pa.types.is_large_string(kind)
                    or pa.types.is_timestamp(kind))):
                raise self.error(column, str(kind), 'text or numbers' if text else 'numbers')
            values = table[column]
            if text and pa.types.is_floating(kind):  # NaN is an empty cell
                values = pa.array(values.to_numpy(), from_pandas=True)
            table = table.set_column(i, column, values.cast(
                pa.string() if text else pa.float64()))
        return table

    def _roles(self, header: list[str]) -> list[str]:
        """Return what the columns are: names of a long table, or numbers of those of joints."""
        names = long_columns(header) or [_column(name) for name in header]
        try:
            self.wide = find_wide_columns(header)
        except ValueError as error:
            found, expected = error.args
            raise self.error('columns', found, expected) from None
        has_z = self.wide.has_z if self.wide else 'z' in names
        if has_z != ('z' in self.axes):
            found = next((name for name in header if (split_column(name)[1] or _column(name)) ==
                          'z'), '')
            raise self.error('z', f'a column {found!r}' if has_z else 'no such column',
                             '2D joints in pixels, x and y; table_3d reads 3D joints'
                             if has_z else '3D joints; table reads 2D joints')
        if self.wide:
            roles = {place: role for role, place in self.wide.roles.items()}
            used = {place for places in self.wide.joints.values() for place in places.values()}
            return [roles.get(i, str(i) if i in used else '') for i in range(len(header))]
        required = ('frame', 'joint', *self.axes)
        if not set(required) <= set(names):
            raise self.error(
                'columns', header, f'{", ".join(required)}, with a row a frame, person and joint; '
                f'or a row a frame with {_listed(self.axes)} of each joint, e.g. '
                + ', '.join(f'nose_{axis}' for axis in self.axes))
        return names

    def _is_used(self, column: str) -> bool:
        return column in _NUMBERS + _NAMES or bool(self.wide) and (
            column == 'time' or column.isdecimal())

    def _is_number(self, column: str) -> bool:
        """Return whether cells of a column have to be numbers."""
        return column in _NUMBERS and not (self.wide and column == 'label') or column.isdecimal()

    def _wide_columns(self, out: dict) -> dict:
        """Return columns of a wide table with 'points' (N, J, C) and 'scores' (N, J)."""
        joints = self.wide.joints
        points = np.stack([np.stack([out[str(places[axis])] for axis in self.axes], -1)
                           for places in joints.values()], 1)
        ones = np.ones(len(points))
        scores = np.stack([out[str(places['score'])] if 'score' in places else ones
                           for places in joints.values()], 1)
        if np.isnan(points).any(2).all():
            raise self.error(', '.join(self.axes), 'no number', 'coordinates')
        columns = {name: out[name] for name in out if not name.isdecimal()}
        for name in {'person', 'clip'} & columns.keys():
            title = self.wide.header[self.wide.roles[name]]
            if len(columns[name][0]) == len(points) > 1 and (
                    re.sub('[^a-z]', '', title.lower()) in ('id', 'file', 'filename')):
                self.source.note(self.name, f'column {title!r} differs in every row and is not '
                                 'used')
                del columns[name]
        for name in {'time', 'label'} & columns.keys():
            names, index = columns.pop(name)
            try:
                columns[name] = np.array([*map(float, names), np.nan])[index]
            except ValueError:
                self.source.note(self.name, f'column {name!r} has no numbers and is not used')
        return dict(columns, points=points, scores=scores)
