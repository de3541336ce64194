"""Writer of CSV and Parquet tables with one row a frame, person and joint."""

from os import PathLike
from pathlib import Path

import numpy as np

from mofm.annotations.video_poses import VideoPoses, Videos
from mofm.utils.files import atomic_write
from mofm.utils.tables import BOX_COLUMNS, safe_cell


def write_table(path: str | PathLike, videos: Videos):
    """Write a long table atomically, one video in memory at a time.

    Its columns are ``clip``, the video; ``track``, the track ID, or empty; ``frame``; ``person``,
    counted in the order of appearance; ``joint``, the name; ``x``, ``y`` (and ``z``), in pixels,
    or meters in 3D; ``score``; the columns of the poses, e.g. ``label``; and in 2D ``width`` and
    ``height`` of the image, and ``box_x1``, ``box_y1``, ``box_x2`` and ``box_y2`` if annotations
    have boxes. Cells of missing joints are empty. Text that a spreadsheet would run
    as a formula gets an apostrophe in front in CSV files.

    Args:
        path (str or Path): A ``.csv`` or ``.parquet`` file.
        videos (Videos): 2D or 3D poses.

    Raises:
        ValueError: If the suffix is another one.
    """
    import pyarrow as pa

    path = Path(path)
    if path.suffix not in ('.csv', '.parquet'):
        raise ValueError(f'{path}: found suffix {path.suffix!r}, expected .csv or .parquet')
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    with atomic_write(path) as f:
        for video in videos:
            table = pa.table(_columns(video, videos, path.suffix == '.csv'))
            if writer is None:
                writer = _writer(path.suffix, f, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def _writer(suffix, file, schema):
    if suffix == '.csv':
        from pyarrow.csv import CSVWriter, WriteOptions

        return CSVWriter(file, schema, write_options=WriteOptions(quoting_style='needed'))
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(file, schema)


def _columns(video: VideoPoses, videos: Videos, is_csv: bool) -> dict:
    """Return the columns as Arrow arrays (N * V,), NaN as null."""
    import pyarrow as pa

    count, joints, dims = video.keypoint.shape
    persons, first = np.unique(video.person, return_index=True)
    order = np.argsort(np.argsort(first))  # of appearance

    def text(values):
        return [safe_cell(str(value)) for value in values] if is_csv else list(map(str, values))

    def each(values):
        """Repeat the value of a pose for its joints; texts are encoded once."""
        if values.dtype.kind == 'U':
            names, index = np.unique(values, return_inverse=True)
            return pa.array(text(names)).take(pa.array(np.repeat(index, joints)))
        values = values.astype(np.float32 if values.dtype.kind == 'f' else np.int64)
        return pa.array(np.repeat(values, joints), from_pandas=True)

    def coordinate(values):
        return pa.array(values.ravel().astype(np.float32), from_pandas=True)

    columns = dict(
        clip=pa.array(text([video.name])).take(pa.array(np.zeros(count * joints, np.int64))),
        track=each(video.person) if video.tracked else pa.nulls(count * joints, pa.int64()),
        frame=each(video.frame),
        person=each(order[np.searchsorted(persons, video.person)]),
        joint=pa.array(videos.layout.joints).take(
            pa.array(np.tile(np.arange(joints), count))))
    for axis in range(dims):
        columns['xyz'[axis]] = coordinate(video.keypoint[..., axis])
    columns['score'] = coordinate(video.score)
    columns.update({name: each(values) for name, values in video.columns.items()})
    if dims == 2:
        for field, size in zip(('height', 'width'), video.img_shape, strict=True):
            columns[field] = each(np.full(count, size))
        if videos.has_boxes:
            columns.update({field: each(side) for field, side in
                            zip(BOX_COLUMNS, video.box.T, strict=True)})
    return columns
