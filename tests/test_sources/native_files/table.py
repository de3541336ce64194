"""Tables of poses, written by our writer and as people write them."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from mofm.sources.pose_programs.table import Table
from mofm.structures import LAYOUTS

from .pose_detectors import people

JOINTS = LAYOUTS['coco17'].joints


def rows(values, clip='walk', track=lambda person: person + 3):
    """Rows of persons (T, M, V, 3)."""
    return [dict(clip=clip, track=track(m), frame=t, person=m, joint=JOINTS[j], x=x, y=y,
                 score=score, label=1, height=480, width=640)
            for t, frame in enumerate(values) for m, pose in enumerate(frame)
            for j, (x, y, score) in enumerate(pose.tolist())]


def csv(table, delimiter=',', point='.'):
    """Text of rows; None is an empty cell."""
    def cell(value):
        return '' if value is None else str(value).replace('.', point) \
            if isinstance(value, float) else str(value)
    lines = [delimiter.join(table[0])]
    lines += [delimiter.join(cell(value) for value in row.values()) for row in table]
    return '\n'.join(lines).encode() + b'\n'


def parquet(table, **options):
    """File of rows."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table), out, **options)
    return out.getvalue()


SAMPLES = {
    'table': (Table, {'walk.csv': csv(rows(people()) + rows(people(3, 1), 'run'))}, {}),
    'table_plain': (Table, {'a/walk.csv': csv([
        {key: row[key] for key in ('frame', 'joint', 'x', 'y')} for row in rows(
            people(4, 1))], ';', ',')}, {}),
    'table_parquet': (Table, {'walk.parquet': parquet(rows(people(3)))},
                      dict(tracks=True)),
}
