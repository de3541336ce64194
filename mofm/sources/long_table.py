"""Long tables of poses, with one row a frame, person and joint, in CSV and Parquet files."""
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mofm.annotations import AnnotationError
from mofm.structures import LAYOUTS
from mofm.utils.checks import describe
from mofm.utils.limits import get_limits
from mofm.utils.names import NAME, is_name
from mofm.utils.tables import BOX_COLUMNS, plain_cell

from .base import Source
from .recognition import Sample

SUFFIXES = ('.csv', '.parquet')
_NUMBERS = ('frame', 'x', 'y', 'z', 'score', 'label', 'height', 'width', *BOX_COLUMNS)
_NAMES = ('clip', 'track', 'person', 'joint')
# More joints are hardly those of persons; rows are at least a share of poses times joints.
_MOST_JOINTS, _SPARSE = 1000, 50
_ROW = 100  # bytes of a row in memory, roughly


class LongVideo(NamedTuple):
    """N poses of a video.

    Args:
        name (str): The video.
        names (list[str]): Names of the J joints, in the order of ``layout`` if there is one.
        layout (str or None): The layout with these names.
        frame (np.ndarray): (N,) int64.
        person (np.ndarray): (N,) int64, number of the person.
        has_persons (bool): Whether the table tells persons apart.
        values (np.ndarray): (N, J, C) float64, coordinates, NaN where missing.
        score (np.ndarray): (N, J).
        labels (np.ndarray or None): (T,) label of each of ``np.unique(frame)``.
        img_shape (tuple[int, int] or None): Height and width of the image.
        box (np.ndarray or None): (N, 4) x1, y1, x2, y2, NaN where the table has none.
    """

    name: str
    names: list[str]
    layout: str | None
    frame: np.ndarray
    person: np.ndarray
    has_persons: bool
    values: np.ndarray
    score: np.ndarray
    labels: np.ndarray | None
    img_shape: tuple[int, int] | None
    box: np.ndarray | None


def columns_of(sample: Sample) -> set[str]:
    """Return the names of the columns of a table. It may raise for other content."""
    if sample.head[:4] == b'PAR1':
        from pyarrow.parquet import read_schema

        names = read_schema(io.BytesIO(sample.tree.read(sample.name, 2**24))).names
    else:
        names = re.split('[,;\t]', sample.head.splitlines()[0].decode('utf-8-sig'))
    return {_column(name) for name in names}


def _column(name: str) -> str:
    """Return the name of a column, in lower case."""
    return name.strip(' "').lower()


class LongTable:
    """Reader of one table.

    Args:
        source (Source): For errors and the decoding of text.
        name (str): The native file.
        axes (str): Columns of the coordinates, 'xy' or 'xyz'.
    """

    def __init__(self, source: Source, name: str, axes: str):
        self.source, self.name, self.axes = source, name, axes

    def error(self, field: str, found: object, expected: object) -> AnnotationError:
        """Return an error about the file."""
        return self.source.error(self.name, field, found, expected)

    def videos(self, data: bytes, default: str) -> Iterator[LongVideo]:
        """Yield the videos of a table.

        Args:
            data (bytes): Content of the file.
            default (str): Name of the video of a table without ``clip``.

        Raises:
            AnnotationError: If the table is invalid.
        """
        columns = self._columns(data)
        del data
        clips, clip = columns['clip'] if 'clip' in columns else (
            [default], np.zeros(len(columns['x']), np.int64))
        order = np.argsort(clip, kind='stable')
        ends = np.searchsorted(clip[order], np.arange(len(clips)), 'right')
        for video, rows in zip(clips, np.split(order, ends[:-1]), strict=True):
            yield self._video(video, {
                key: (value[0], value[1][rows]) if isinstance(value, tuple) else value[rows]
                for key, value in columns.items()})

    def _columns(self, data) -> dict:
        """Read columns: arrays of numbers, and names with their index (N,)."""
        try:
            table = self._parquet(data) if data[:4] == b'PAR1' else self._csv(data)
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise error if isinstance(error, AnnotationError) else self.error(
                'file', describe(error), 'a readable table') from None
        required = ('frame', 'joint', *self.axes)
        missing = [column for column in required if column not in table.column_names]
        if missing or not len(table):
            raise self.error('columns', table.column_names if missing else 'no row',
                             f'{", ".join(required)}, with a row a frame, person and joint')
        out = {}
        for column in table.column_names:
            values = table[column].combine_chunks()
            if column in _NUMBERS:
                out[column] = values.to_numpy(zero_copy_only=False).astype(np.float64)
            elif values.null_count < len(values):
                texts = values.dictionary_encode()
                names = [plain_cell(text) for text in texts.dictionary.to_pylist()]
                out[column] = names, texts.indices.fill_null(-1).to_numpy().astype(np.int64)
        if any(np.isnan(out[axis]).all() for axis in self.axes):
            raise self.error(', '.join(self.axes), 'no number', 'coordinates')
        for column in ('clip', 'joint'):
            names, index = out.get(column, ([], np.zeros(0)))
            wrong = next((text for text in names if not is_name(text) or not text), None)
            if wrong is not None or (index < 0).any() or column == 'joint' and not names:
                raise self.error(column, 'empty cells' if wrong is None else wrong, NAME)
        return out

    def _csv(self, data):
        """Parse text; numbers that are no numbers raise an error with the row."""
        import pyarrow as pa
        from pyarrow import csv

        text = self.source.text(self.name, data)
        head = text.partition('\n')[0]
        delimiter = max(',;\t', key=head.count)
        names = [_column(column) for column in head.split(delimiter)]
        names = [column if names.count(column) == 1 else f'{column} {i}'
                 for i, column in enumerate(names)]
        self._require_axes(names)
        point = ',' if delimiter != ',' and re.search(r'\d,\d', text[:2**16]) else '.'
        known = [column for column in names if column in _NUMBERS + _NAMES]
        return csv.read_csv(
            io.BytesIO(text.encode()),
            csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
            csv.ConvertOptions(include_columns=known, decimal_point=point, column_types={
                column: pa.float64() if column in _NUMBERS else pa.string() for column in known},
                null_values=['', 'NA', 'NaN', 'nan', 'null', 'None'],
                strings_can_be_null=True))

    def _parquet(self, data):
        """Read the known columns of a Parquet file."""
        import pyarrow as pa
        from pyarrow import parquet

        file = parquet.ParquetFile(io.BytesIO(data))
        names = file.schema_arrow.names
        self._require_axes([_column(column) for column in names])
        names = [column for column in names if _column(column) in _NUMBERS + _NAMES]
        known = [_column(column) for column in names]
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
            if not (numeric or pa.types.is_null(kind) or column in _NAMES and (
                    pa.types.is_string(kind) or pa.types.is_large_string(kind))):
                raise self.error(column, str(kind), 'numbers' if column in _NUMBERS else
                                 'text or numbers')
            values = table[column]
            if column in _NAMES and pa.types.is_floating(kind):  # NaN is an empty cell
                values = pa.array(values.to_numpy(), from_pandas=True)
            table = table.set_column(i, column, values.cast(
                pa.float64() if column in _NUMBERS else pa.string()))
        return table

    def _require_axes(self, names):
        if ('z' in names) != ('z' in self.axes):
            raise self.error('z', 'a column' if 'z' in names else 'no such column',
                             '2D joints in pixels, x and y; table_3d reads 3D joints'
                             if 'z' in names else '3D joints; table reads 2D joints')

    def _video(self, video, part) -> LongVideo:
        frame = self._whole('frame', part['frame'])
        # a table may have tracks of some recordings, and no persons
        key = next((part[column] for column in ('track', 'person') if column in part
                    and (part[column][1] >= 0).any()), None)
        person = np.zeros(len(frame), np.int64) if key is None else key[1]
        if (person < 0).any():
            raise self.error('track or person', f'empty cells in {video!r}',
                             'one in every row of a recording, or none')
        names, joint = part['joint']
        used, joint = np.unique(joint, return_inverse=True)
        names = [names[i] for i in used]
        keys, pose = np.unique(np.stack([frame, person]), axis=1, return_inverse=True)
        pose = pose.ravel()
        if len(names) > _MOST_JOINTS or keys.shape[1] * len(names) > _SPARSE * len(frame):
            raise self.error('joint', f'{len(names)} names in {len(frame)} rows',
                             'the names of joints, the same in all frames')
        place = pose * len(names) + joint
        if len(np.unique(place)) < len(place):
            raise self.error('rows', f'a joint twice in a frame of {video!r}',
                             'one row a frame, person and joint, with track or person')
        values = np.full((keys.shape[1], len(names), len(self.axes)), np.nan)
        score = np.full(values.shape[:2], np.nan)
        values[pose, joint] = np.stack([part[axis] for axis in self.axes], 1)
        score[pose, joint] = part.get('score', np.ones(len(frame)))
        box = None
        if set(BOX_COLUMNS) <= part.keys():
            box = np.full((keys.shape[1], 4), np.nan)
            box[pose] = np.stack([part[column] for column in BOX_COLUMNS], 1)
        if any(np.isinf(numbers).any() for numbers in (values, score, box) if numbers is not None):
            raise self.error('coordinates, score and box', 'infinite numbers', 'finite numbers')
        layout = next((other for other in LAYOUTS.values()
                       if sorted(other.joints) == sorted(names)), None)
        if layout is not None:
            order = [names.index(other) for other in layout.joints]
            names, values, score = list(layout.joints), values[:, order], score[:, order]
        return LongVideo(
            video, names, layout and layout.name, keys[0],
            np.zeros(keys.shape[1], np.int64) if key is None else _ids(key[0])[keys[1]],
            key is not None, values, score,
            self._labels(frame, part['label']) if 'label' in part else None,
            self._img_shape(part), box)

    def _whole(self, column, values) -> np.ndarray:
        """Return whole numbers of a column from 0, as int64."""
        if not ((values >= 0) & (values < 2**31) & (values == np.floor(values))).all():
            raise self.error(column, 'other numbers or empty cells',
                             'whole numbers from 0 in every row')
        return values.astype(np.int64)

    def _labels(self, frame, label) -> np.ndarray:
        """Return the label of each frame."""
        label = self._whole('label', label)
        frames, first = np.unique(frame, return_index=True)
        if (label != label[first][np.searchsorted(frames, frame)]).any():
            raise self.error('label', 'several in a frame', 'one label for all persons')
        return label[first]

    def _img_shape(self, part) -> tuple[int, int] | None:
        """Return height and width of the image, None if the table does not have both."""
        if not {'height', 'width'} <= part.keys() or np.isnan(part['height']).all():
            return None
        size = []
        for column in ('height', 'width'):
            values = np.unique(self._whole(column, part[column]))
            if len(values) > 1 or values[0] < 1:
                raise self.error(column, values[:10], 'one size for a recording')
            size.append(int(values[0]))
        return size[0], size[1]


def label_fields(labels: np.ndarray | None, frames: np.ndarray,
                 inds: np.ndarray) -> dict[str, int | np.ndarray]:
    """Return the label of a recording, or of each of its rows.

    Args:
        labels (np.ndarray, optional): (T,) of ``frames``.
        frames (np.ndarray): (T,) ascending.
        inds (np.ndarray): Frames of the rows; those between have the label of the one before.
    """
    if labels is None:
        return {}
    if (labels == labels[0]).all():
        return dict(label=int(labels[0]))
    rows = np.searchsorted(frames, inds, 'right') - 1
    return dict(frame_label=labels[rows.clip(0)].astype(np.int32))


def _ids(names: list[str]) -> np.ndarray:
    """Return the numbers of persons, or their places if some are no numbers."""
    matches = [re.fullmatch(r'(-?\d{1,18})(\.0*)?', name) for name in names]
    numbers = [int(match[1]) for match in matches if match]
    return np.array(numbers) if len(set(numbers)) == len(names) else np.arange(len(names))
