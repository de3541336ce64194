"""Tables of poses, written by our writer and as people write them."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mofm.sources.mocap.table_3d import Table3D
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


def standing_3d(frames=6, persons=2):
    """COCO-17 (T, M, 17, 3) in meters, y up, of people who stand beside each other."""
    x = [0, .03, -.03, .07, -.07, .19, -.19, .23, -.23, .25, -.25, .11, -.11, .12, -.12, .12, -.12]
    y = [1.6, 1.65, 1.65, 1.63, 1.63, 1.42, 1.42, 1.14, 1.14, .9, .9, .95, .95, .52, .52, .1, .1]
    z = [.12, .1, .1, .02, .02] + [0] * 12
    joints = np.stack([x, y, z], -1)[None, None].repeat(frames, 0).repeat(persons, 1)
    joints[..., 0] += np.arange(persons)[:, None]
    joints[..., 2] += .125 * np.arange(frames)[:, None, None]
    return joints


def rows_3d(values, clip='walk'):
    """Rows of persons (T, M, 17, 3)."""
    return [dict(clip=clip, track=m + 3, frame=t, joint=JOINTS[j], x=x, y=y, z=z, label=1)
            for t, frame in enumerate(values) for m, pose in enumerate(frame)
            for j, (x, y, z) in enumerate(pose.tolist())]


def rows_wide(values, names=JOINTS, axes=('x', 'y', 'score')):
    """Rows of persons (T, M, V, C) with columns for each joint."""
    return [dict(time=t / 25, frame=t, person=m, width=640, height=480, **{
                f'{joint}_{axis}': value for joint, point in zip(names, pose.tolist(), strict=True)
                for axis, value in zip(axes, point, strict=True)})
            for t, frame in enumerate(values) for m, pose in enumerate(frame)]


SAMPLES = {
    'table_wide': (Table, {'walk.csv': csv(rows_wide(people()))}, {}),
    'table_wide_parquet': (Table, {'walk.parquet': parquet(rows_wide(people(3)))}, {}),
    'table_wide_3d': (Table3D, {'walk.csv': csv(rows_wide(standing_3d(), axes='xyz'), ';', ',')},
                      {}),
    'table_3d': (Table3D, {'walk.csv': csv(rows_3d(standing_3d())),
                           'run.parquet': parquet(rows_3d(standing_3d(3, 1), 'run'))}, {}),
    'table_3d_views': (Table3D, {'a/walk.csv': csv(rows_3d(standing_3d(2)))}, dict(views=2)),
    'table': (Table, {'walk.csv': csv(rows(people()) + rows(people(3, 1), 'run'))}, {}),
    'table_plain': (Table, {'a/walk.csv': csv([
        {key: row[key] for key in ('frame', 'joint', 'x', 'y')} for row in rows(
            people(4, 1))], ';', ',')}, {}),
    'table_parquet': (Table, {'walk.parquet': parquet(rows(people(3)))},
                      dict(tracks=True)),
}
