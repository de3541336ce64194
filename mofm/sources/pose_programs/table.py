"""Tables of poses with one row a frame, person and joint, in CSV and Parquet files."""

import io
import re
from collections.abc import Iterator

import numpy as np

from mofm.annotations.values import without_nan
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert
from mofm.utils.checks import describe
from mofm.utils.limits import get_limits
from mofm.utils.names import NAME, is_name
from mofm.utils.tables import plain_cell

from ..base import Item
from ..per_frame_poses import FramePoses, FramePoseSource
from ..recognition import Sample

_NUMBERS = ('frame', 'x', 'y', 'score', 'label', 'height', 'width')
_NAMES = ('clip', 'track', 'person', 'joint')
_REQUIRED = ('frame', 'joint', 'x', 'y')
# More joints are hardly those of persons; rows are at least a share of poses times joints.
_MOST_JOINTS, _SPARSE = 1000, 50
_ROW = 100  # bytes of a row in memory, roughly


@SOURCES.register_module('table')
class Table(FramePoseSource):
    """Reader of long tables, ``*.csv`` and ``*.parquet``, as MoFM writes them.

    Columns are ``frame``, ``joint`` (its name), ``x`` and ``y``; and if there are such, ``clip``
    (the video, by default the name of the file), ``track`` or ``person``, ``score`` (default: 1),
    ``label`` of the recording or of its frames, ``height`` and ``width`` of the image. Others are
    passed over. Empty cells and rows that are not there are missing joints. CSV files are
    separated by commas, semicolons (with decimal points or commas) or tabs.
    """

    suffix = ('.csv', '.parquet')

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if sample.head[:4] == b'PAR1':
            from pyarrow.parquet import read_schema

            names = read_schema(io.BytesIO(sample.tree.read(sample.name, 2**24))).names
        else:
            first = sample.head.splitlines()[0].decode('utf-8-sig')
            names = [name.strip(' "') for name in re.split('[,;\t]', first)]
        if {*_REQUIRED} <= set(names) and 'z' not in names:
            return 'a table with the columns frame, joint, x and y'
        return None

    def annotations(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[Item]:
        """See :meth:`FolderSource.annotations`; labels are those of the lists or of the table."""
        for item, splits in super().annotations(name, content):
            labels = None if self.lists else self._labels.get(item.get('clip', item['frame_dir']))
            if labels is not None:
                item = {**item, **self._label(name, item, *labels)}
            yield item, splits

    def _label(self, name, ann, frames, labels):
        """Return the label of a recording, or of each of its frames."""
        if (labels == labels[0]).all():
            return dict(label=int(labels[0]))
        inds = ann.get('frame_inds', np.arange(ann['total_frames']))
        rows = np.searchsorted(frames, inds, 'right') - 1  # of frames between, the one before
        return dict(frame_label=labels[rows.clip(0)].astype(np.int32))

    def videos(self, name: str, content: Iterator[tuple[str, bytes]]) -> Iterator[FramePoses]:
        """See :meth:`FramePoseSource.videos`."""
        (_, data), = content
        columns = self._columns(name, data)
        del data
        clips, clip = columns['clip'] if 'clip' in columns else (
            [self.stem(name)], np.zeros(len(columns['x']), np.int64))
        order = np.argsort(clip, kind='stable')
        ends = np.searchsorted(clip[order], np.arange(len(clips)), 'right')
        #: Label of each frame by recording.
        self._labels: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for video, rows in zip(clips, np.split(order, ends[:-1]), strict=True):
            part = {key: (value[0], value[1][rows]) if isinstance(value, tuple) else value[rows]
                    for key, value in columns.items()}
            yield self._video(name, video, part)

    # ------------------------------------------------------------------------------ the columns
    def _columns(self, name, data) -> dict:
        """Read columns: arrays of numbers, and names with their index (N,)."""
        try:
            table = self._parquet(name, data) if data[:4] == b'PAR1' else self._csv(name, data)
        except Exception as error:  # the parsers raise many kinds for damaged bytes
            raise error if type(error).__name__ == 'AnnotationError' else self.error(
                name, 'file', describe(error), 'a readable table') from None
        missing = [column for column in _REQUIRED if column not in table.column_names]
        if missing or not len(table):
            raise self.error(name, 'columns', table.column_names if missing else 'no row',
                             'frame, joint, x and y, with a row a frame, person and joint')
        out = {}
        for column in table.column_names:
            values = table[column].combine_chunks()
            if column in _NUMBERS:
                out[column] = values.to_numpy(zero_copy_only=False).astype(np.float64)
            elif values.null_count < len(values):
                texts = values.dictionary_encode()
                names = [plain_cell(text) for text in texts.dictionary.to_pylist()]
                out[column] = names, texts.indices.fill_null(-1).to_numpy().astype(np.int64)
        for column in ('clip', 'joint'):
            names, index = out.get(column, ([], np.zeros(0)))
            wrong = next((text for text in names if not is_name(text) or not text), None)
            if wrong is not None or (index < 0).any() or column == 'joint' and not names:
                raise self.error(name, column, 'empty cells' if wrong is None else wrong, NAME)
        return out

    def _csv(self, name, data):
        """Parse text; numbers that are no numbers raise an error with the row."""
        import pyarrow as pa
        from pyarrow import csv

        text = self.text(name, data)
        head = text.partition('\n')[0]
        delimiter = max(',;\t', key=head.count)
        names = [column.strip(' "') for column in head.split(delimiter)]
        names = [column if names.count(column) == 1 else f'{column} {i}'
                 for i, column in enumerate(names)]
        self._require_2d(name, names)
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

    def _parquet(self, name, data):
        """Read the known columns of a Parquet file."""
        import pyarrow as pa
        from pyarrow import parquet

        file = parquet.ParquetFile(io.BytesIO(data))
        names = file.schema_arrow.names
        self._require_2d(name, names)
        known = [column for column in names if column in _NUMBERS + _NAMES]
        size = max(file.metadata.num_rows * _ROW, sum(
            file.metadata.row_group(i).total_byte_size
            for i in range(file.metadata.num_row_groups)))
        if size > get_limits().expanded(len(data)):
            raise self.error(name, 'rows', f'{file.metadata.num_rows} in {len(data)} bytes',
                             'a table of usual size (MOFM_LIMITS=expansion=N)')
        table = file.read(known, use_threads=False)
        table.validate(full=True)
        for i, column in enumerate(known):
            kind = table.schema.field(column).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            if not (numeric or pa.types.is_null(kind) or column in _NAMES and (
                    pa.types.is_string(kind) or pa.types.is_large_string(kind))):
                raise self.error(name, column, str(kind), 'numbers' if column in _NUMBERS else
                                 'text or numbers')
            table = table.set_column(i, column, table[column].cast(
                pa.float64() if column in _NUMBERS else pa.string()))
        return table

    def _require_2d(self, name, names):
        if 'z' in names:
            raise self.error(name, 'z', 'a column', '2D joints in pixels, x and y; 3D joints are '
                             'read from TRC, C3D and BVH files')

    # --------------------------------------------------------------------------------- the poses
    def _video(self, name, video, part) -> FramePoses:
        frame = self._whole(name, 'frame', part['frame'])
        # a table may have tracks of some recordings, and no persons
        key = next((part[column] for column in ('track', 'person') if column in part
                    and (part[column][1] >= 0).any()), None)
        person = np.zeros(len(frame), np.int64) if key is None else key[1]
        if (person < 0).any():
            raise self.error(name, 'track or person', f'empty cells in {video!r}',
                             'one in every row of a recording, or none')
        names, joint = part['joint']
        used, joint = np.unique(joint, return_inverse=True)
        names = [names[i] for i in used]
        keys, pose = np.unique(np.stack([frame, person]), axis=1, return_inverse=True)
        pose = pose.ravel()
        if len(names) > _MOST_JOINTS or keys.shape[1] * len(names) > _SPARSE * len(frame):
            raise self.error(name, 'joint', f'{len(names)} names in {len(frame)} rows',
                             'the names of joints, the same in all frames')
        place = pose * len(names) + joint
        if len(np.unique(place)) < len(place):
            raise self.error(name, 'rows', f'a joint twice in a frame of {video!r}',
                             'one row a frame, person and joint, with track or person')
        keypoint = np.full((keys.shape[1], len(names), 2), np.nan)
        score = np.full(keypoint.shape[:2], np.nan)
        keypoint[pose, joint] = np.stack([part['x'], part['y']], 1)
        score[pose, joint] = part.get('score', np.ones(len(frame)))
        self._check(name, keypoint, score)
        layout = None if self.layout or self.joint_map else next(
            (other for other in LAYOUTS.values() if sorted(other.joints) == sorted(names)), None)
        if layout is None:
            keypoint, score = self.to_layout_joints(name, 'joint', keypoint, score, (), names)
        else:  # the names say it
            order = [names.index(other) for other in layout.joints]
            keypoint, score = convert(*without_nan(keypoint[:, order], score[:, order]),
                                      layout.name, self.to_layout.name)
        if 'label' in part:
            self._labels[video] = self._frame_labels(name, frame, part['label'])
        return FramePoses(video, np.unique(frame), keys[0], keypoint, score,
                          None if key is None else _ids(key[0])[keys[1]],
                          self._img_shape(name, part))

    def _check(self, name, keypoint, score):
        known = np.isfinite(keypoint).all(-1)
        if not known.any() or np.isinf(keypoint).any() or np.isinf(score).any():
            raise self.error(name, 'x, y and score', 'infinite or no numbers', 'finite numbers')

    def _whole(self, name, column, values) -> np.ndarray:
        """Return whole numbers of a column from 0, as int64."""
        if not ((values >= 0) & (values < 2**31) & (values == np.floor(values))).all():
            raise self.error(name, column, 'other numbers or empty cells',
                             'whole numbers from 0 in every row')
        return values.astype(np.int64)

    def _frame_labels(self, name, frame, label):
        """Return frames and the label of each."""
        label = self._whole(name, 'label', label)
        frames, first = np.unique(frame, return_index=True)
        if (label != label[first][np.searchsorted(frames, frame)]).any():
            raise self.error(name, 'label', 'several in a frame', 'one label for all persons')
        return frames, label[first]

    def _img_shape(self, name, part) -> tuple[int, int] | None:
        """Return height and width of the image, None if the table does not have both."""
        if not {'height', 'width'} <= part.keys() or np.isnan(part['height']).all():
            return None
        size = []
        for column in ('height', 'width'):
            values = np.unique(self._whole(name, column, part[column]))
            if len(values) > 1 or values[0] < 1:
                raise self.error(name, column, values[:10], 'one size for a recording')
            size.append(int(values[0]))
        return size[0], size[1]


def _ids(names: list[str]) -> np.ndarray:
    """Return the numbers of persons, or their places if some are no numbers."""
    if all(re.fullmatch(r'-?\d{1,18}', name) for name in names) and (
            len({int(name) for name in names}) == len(names)):
        return np.array([int(name) for name in names], np.int64)
    return np.arange(len(names))
