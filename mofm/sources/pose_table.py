"""Tables of poses in CSV and Parquet files.

Long tables have one row a frame, person and joint; wide ones one row a frame and person, with
columns for each joint (:mod:`mofm.sources.wide_columns`).
"""
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
from .frame_numbers import find_step
from .joint_maps import short_names
from .joint_order import named_layout, unknown_joints
from .recognition import Sample
from .wide_columns import WideColumns, find_wide_columns, split_column

SUFFIXES = ('.csv', '.parquet')
_NUMBERS = ('frame', 'x', 'y', 'z', 'score', 'label', 'height', 'width', *BOX_COLUMNS)
_NAMES = ('clip', 'track', 'person', 'joint')
# More joints are hardly those of persons; rows are at least a share of poses times joints.
_MOST_JOINTS, _SPARSE = 1000, 50
_ROW = 100  # bytes of a row in memory, roughly
_RECOGNIZED = 4  # joints of a wide table
_FPS = .5, 1000  # frame rates of videos


class TableVideo(NamedTuple):
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
        fps (float or None): Frames per second, if a wide table has times.
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
    fps: float | None = None


def recognize_table(sample: Sample, axes: str) -> str | None:
    """Say why a file is a table with such axes, 'xy' or 'xyz'. It may raise for other content."""
    if sample.head[:4] == b'PAR1':
        from pyarrow.parquet import read_schema

        header = read_schema(io.BytesIO(sample.tree.read(sample.name, 2**24))).names
    else:
        header = _cells(sample.head.splitlines()[0].decode('utf-8-sig'))
    columns = {_column(name) for name in header}
    if {'joint', 'x', 'y'} <= columns:
        fits = 'frame' in columns and ('z' in columns) == ('z' in axes)
        return f'a table with the columns frame, joint, {_listed(axes)}' if fits else None
    found = [split_column(name) for name in header]
    names = list(dict.fromkeys(joint for joint, axis in found if axis in ('x', 'y', 'z')))
    known = len(names) - len(_unknown(names))
    has_z = any(axis == 'z' for _, axis in found)
    fits = known >= _RECOGNIZED and has_z == ('z' in axes) and not _is_of_program(columns)
    return f'a table with {_listed(axes)} of {len(names)} joints in a row' if fits else None


def _is_of_program(columns: set[str]) -> bool:
    """Return whether SLEAP, Anipose, FreeMoCap or MediaPipe write such a wide table."""
    return 'fnum' in columns or any(
        re.search('foot_?index|eye_inner_z', column) or column.endswith('.x') and 'frame_idx' in
        columns for column in columns)


def _unknown(names: list[str]) -> list[str]:
    """List the joints of no layout, also without the first words that all have."""
    return unknown_joints(names) and unknown_joints(short_names(names))


def _listed(axes: str) -> str:
    return f'{", ".join(axes[:-1])} and {axes[-1]}'


def _cells(line: str) -> list[str]:
    """Split the header of a CSV file."""
    return [name.strip(' "\r') for name in line.split(_delimiter(line))]


def _delimiter(line: str) -> str:
    return max(',;\t', key=line.count)


def _column(name: str) -> str:
    """Return the name of a column, in lower case."""
    return name.strip(' "').lower()


class PoseTable:
    """Reader of one table.

    Args:
        source (Source): For errors and the decoding of text.
        name (str): The native file.
        axes (str): Columns of the coordinates, 'xy' or 'xyz'.
    """

    def __init__(self, source: Source, name: str, axes: str):
        self.source, self.name, self.axes = source, name, axes
        self.wide: WideColumns | None = None

    def error(self, field: str, found: object, expected: object) -> AnnotationError:
        """Return an error about the file."""
        return self.source.error(self.name, field, found, expected)

    def videos(self, data: bytes, default: str) -> Iterator[TableVideo]:
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
            [default], np.zeros(len(next(iter(columns.values()))), np.int64))
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
        head = text.partition('\n')[0]
        delimiter = _delimiter(head)
        names = self._roles(_cells(head))
        names = [column if names.count(column) == 1 else f'{column} {i}'
                 for i, column in enumerate(names)]
        point = ',' if delimiter != ',' and re.search(r'\d,\d', text[:2**16]) else '.'
        known = [column for column in names if self._is_used(column)]
        return csv.read_csv(
            io.BytesIO(text.encode()),
            csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
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
        names = [_column(name) for name in header]
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
    def _video(self, video, part) -> TableVideo:
        frame, fps = self._frames(video, part) if self.wide else (
            self._whole('frame', part['frame']), None)
        # a table may have tracks of some recordings, and no persons
        key = next((part[column] for column in ('track', 'person') if column in part
                    and (part[column][1] >= 0).any()), None)
        person = np.zeros(len(frame), np.int64) if key is None else key[1]
        if self.wide:  # rows without a joint need no person
            person = np.where(np.isnan(part['points']).any(2).all(1), person.clip(0), person)
        if (person < 0).any():
            raise self.error('track or person', f'empty cells in {video!r}',
                             'one in every row of a recording, or none')
        keys = np.stack([frame, person])
        if self.wide:
            several = key is not None or 'z' in self.axes
            if several and len(np.unique(keys, axis=1).T) < len(frame):
                raise self.error('rows', f'a person twice in a frame of {video!r}',
                                 'one row a frame and person, with a column track or person')
            pose = np.arange(len(frame))
            names, layout, values, score = self._by_layout(part['points'], part['scores'])
        else:
            keys, pose = np.unique(keys, axis=1, return_inverse=True)
            pose = pose.ravel()
            names, layout, values, score = self._pivoted(video, part, keys.shape[1], pose)
        box = None
        if set(BOX_COLUMNS) <= part.keys():
            box = np.full((keys.shape[1], 4), np.nan)
            box[pose] = np.stack([part[column] for column in BOX_COLUMNS], 1)
        if any(np.isinf(numbers).any() for numbers in (values, score, box) if numbers is not None):
            raise self.error('coordinates, score and box', 'infinite numbers', 'finite numbers')
        return TableVideo(
            video, names, layout, keys[0],
            np.zeros(keys.shape[1], np.int64) if key is None else _ids(key[0])[keys[1]],
            key is not None, values, score,
            self._labels(frame, part['label']) if 'label' in part else None,
            self._img_shape(part), box, fps)

    def _pivoted(self, video, part, poses, pose) -> tuple:
        """Return names of joints, layout, values (N, J, C) and scores (N, J) of a long table."""
        names, joint = part['joint']
        used, joint = np.unique(joint, return_inverse=True)
        names = [names[i] for i in used]
        if len(names) > _MOST_JOINTS or poses * len(names) > _SPARSE * len(pose):
            raise self.error('joint', f'{len(names)} names in {len(pose)} rows',
                             'the names of joints, the same in all frames')
        place = pose * len(names) + joint
        if len(np.unique(place)) < len(place):
            raise self.error('rows', f'a joint twice in a frame of {video!r}',
                             'one row a frame, person and joint, with track or person')
        values = np.full((poses, len(names), len(self.axes)), np.nan)
        score = np.full(values.shape[:2], np.nan)
        values[pose, joint] = np.stack([part[axis] for axis in self.axes], 1)
        score[pose, joint] = part.get('score', np.ones(len(pose)))
        layout = next((other for other in LAYOUTS.values()
                       if sorted(other.joints) == sorted(names)), None)
        if layout is None:
            return names, None, values, score
        order = [names.index(other) for other in layout.joints]
        return list(layout.joints), layout.name, values[:, order], score[:, order]

    def _by_layout(self, values, score) -> tuple:
        """Return the same of a wide table, by the names of its joints in any spelling."""
        names = list(self.wide.joints)
        if self.source.joint_map or getattr(self.source, 'layout', None):
            return names, None, values, score
        unknown = _unknown(names)
        if unknown and 'z' in self.axes:  # bones of motion capture
            return names, None, values, score
        if unknown:
            raise self.error('joints', f'unknown names {", ".join(unknown)[:500]}',
                             f'names as of coco17 ({", ".join(LAYOUTS["coco17"].joints)}) or '
                             'another layout; --map for other names, or --layout if the order of '
                             'the columns is one')
        try:
            title, places = named_layout(short_names(names) if unknown_joints(names) else names)
        except ValueError as error:
            raise self.error('joints', error, 'every joint once') from None
        joints = LAYOUTS[title].joints
        used = [i for i, place in enumerate(places) if place is not None]
        places = [place for place in places if place is not None]
        out = np.full((len(values), len(joints), values.shape[2]), np.nan)
        scores = np.full(out.shape[:2], np.nan)
        out[:, places], scores[:, places] = values[:, used], score[:, used]
        lacks = [joint for i, joint in enumerate(joints) if i not in places]
        left = [name for i, name in enumerate(names) if i not in used]
        self.source.note(
            self.name, f'the joints are those of {title}, by the names of the columns'
            + f'; joints that are not used: {", ".join(left)[:500]}' * bool(left)
            + f'; joints without columns are missing: {", ".join(lacks)[:500]}' * bool(lacks))
        return list(joints), title, out, scores

    def _frames(self, video, part) -> tuple[np.ndarray, float | None]:
        """Return the frame of each row of a wide table, and frames per second."""
        time = part.get('time')
        if time is not None and not np.isfinite(time).all():
            self.source.note(self.name, 'some times are missing: times are not used')
            time = None
        numbered = 'frame' in part
        if numbered:
            frame = self._whole('frame', part['frame'])
        elif time is not None:
            frame = np.unique(time, return_inverse=True)[1].ravel()
        elif 'track' in part or 'person' in part:
            raise self.error('columns', f'persons in {video!r} and no frame or time',
                             'a column frame')
        else:
            self.source.note(self.name, 'there is no column frame: rows are the frames')
            return np.arange(len(part['points'])), None
        frames, first = np.unique(frame, return_index=True)
        if time is None or len(frames) < 2:
            return frame, None
        gaps = np.diff(time[first])
        unit, scale = ('seconds', 1) if np.median(gaps) < 1 else ('milliseconds', 1000)
        if not numbered:
            stamps = np.rint((time[first] - time.min()) * 1000 / scale).astype(np.int64)
            step = find_step(stamps) if stamps[-1] < 2**31 else None
            if step is not None:
                frames = step[0]
                frame = frames[frame]
        gap = np.median(gaps / np.diff(frames))
        fps = float(scale / gap) if gap > 0 else 0
        if not _FPS[0] <= fps <= _FPS[1]:
            self.source.note(self.name, 'times are no seconds or milliseconds: not used')
            return frame, None
        self.source.note(self.name, f'times are read as {unit}: {fps:.4g} frames per second')
        return frame, fps

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
