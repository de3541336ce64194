"""Tables of poses: round trips of the writer, and tables as people write them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mofm.annotations import AnnotationError
from mofm.annotations.video_poses import Videos
from mofm.sources.mocap.table_3d import Table3D
from mofm.sources.pose_programs.table import Table
from mofm.sources.recognition import resolve
from mofm.structures import convert
from mofm.writers import write_table
from tests.test_sources.native_files.pose_detectors import people
from tests.test_sources.native_files.table import (
    JOINTS,
    csv,
    parquet,
    rows,
    rows_3d,
    standing_3d,
)
from tests.test_writers.annotations import in_3d, tracked


def read(path, **options):
    source = Table(path, strict=True, **{'max_gap': 0, **options})
    return [ann for ann, _ in source], source


def pose(frame=0, x=lambda j: 10. * j, **columns):
    """Rows of one person with joint j at (x(j), 20 + j)."""
    return [dict(frame=frame, joint=name, x=float(x(j)), y=20. + j, **columns)
            for j, name in enumerate(JOINTS)]


@pytest.mark.parametrize('suffix', ['.csv', '.parquet'])
def test_round_trip_of_the_writer_is_exact(tmp_path, suffix):
    anns = [tracked('a/1', track_id=np.array([7, 9])), tracked('=b, "c"', label=0, ids=(0, )),
            tracked('d', frame_label=np.array([0, 1, 1, 3]))]
    write_table(tmp_path / f'out{suffix}', Videos(anns))
    found, source = read(tmp_path / f'out{suffix}')
    assert [ann['frame_dir'] for ann in found] == ['a/1', '=b, "c"', 'd']
    for ann, expected in zip(found, anns, strict=True):
        np.testing.assert_array_equal(ann['keypoint'], expected['keypoint'])
        np.testing.assert_array_equal(ann['keypoint_score'], expected['keypoint_score'])
        np.testing.assert_array_equal(ann['frame_inds'], expected['frame_inds'])
        assert ann['img_shape'] == (480, 640)
    assert [ann['label'] for ann in found] == [1, 0, 0]
    assert found[2]['frame_label'].tolist() == [0, 1, 1, 3]
    assert 'frame_label' not in found[0]
    assert not source.notes


@pytest.mark.parametrize('names', [
    dict(frame='frame_idx', joint='node', score='score'),
    dict(frame='Frame', joint='Keypoint Name', x='X', y='Y', score='Confidence'),
    dict(frame='frameNumber', joint='bodypart', score='likelihood'),
    dict(frame='frame', joint='keypoint_name', score='score')])
def test_long_tables_are_read_with_other_names_of_columns(tmp_path, names):
    """Among them those of sleap-io; columns that no name fits are passed over."""
    other = ['id', 'video_path', *['keypoint'] * (names['joint'] == 'keypoint_name')]
    table = [{names.get(key, key): value for key, value in row.items()} | dict.fromkeys(other, i)
             for i, row in enumerate(pose(0, score=.5) + pose(1, score=.5))]
    (tmp_path / 'a.csv').write_bytes(csv(table))
    assert resolve(tmp_path / 'a.csv').source == 'table'
    (ann, ), _ = read(tmp_path / 'a.csv')
    assert ann['keypoint'].shape == (1, 2, 17, 2)
    assert ann['keypoint'][0, 1, :, 0].tolist() == [10. * j for j in range(17)]
    assert (ann['keypoint_score'] == .5).all()


@pytest.mark.parametrize('suffix', ['.csv', '.parquet'])
def test_round_trip_of_tracks_keeps_ids_and_rows(tmp_path, suffix):
    whole = tracked('walk', track_id=np.array([7, 9]))
    write_table(tmp_path / f'out{suffix}', Videos([whole]))
    found, _ = read(tmp_path / f'out{suffix}', tracks=True)
    assert [(ann['clip'], ann['track_id'], ann['frame_inds'].tolist()) for ann in found] == [
        ('walk', 7, [0, 1, 2]), ('walk', 7, [5]), ('walk', 9, [0, 1]), ('walk', 9, [5])]
    assert {ann['label'] for ann in found} == {1}


def test_round_trip_of_another_layout_keeps_all_joints(tmp_path):
    ann = tracked('walk', joints=25, ids=(0, ))
    write_table(tmp_path / 'out.csv', Videos([ann], 'kinect25'))
    source = Table(tmp_path / 'out.csv', max_gap=0, to_layout='kinect25')
    (found, _), = source.annotations('', source.load(''))
    np.testing.assert_array_equal(found['keypoint'], ann['keypoint'])


def test_names_of_joints_decide_not_their_order(tmp_path):
    table = pose()[::-1] + pose(1)
    (tmp_path / 'walk.csv').write_bytes(csv(table))
    (ann, ), _ = read(tmp_path)
    assert ann['frame_dir'] == 'walk'
    assert ann['keypoint'][0, :, 3].tolist() == [[30, 23], [30, 23]]
    assert ann['keypoint_score'].min() == 1
    assert ann['label'] == 0


def test_missing_joints_are_empty_cells_or_absent_rows(tmp_path):
    table = pose()
    table[3]['x'] = None
    table[5]['x'] = table[5]['y'] = float('nan')
    del table[9]
    (tmp_path / 'walk.csv').write_bytes(csv(table + pose(1)))
    (ann, ), _ = read(tmp_path)
    assert np.flatnonzero(ann['keypoint_score'][0, 0] == 0).tolist() == [3, 5, 9]
    assert ann['keypoint'][0, 1].all(1).sum() == 16  # the nose is at x = 0


@pytest.mark.parametrize(('delimiter', 'point'), [(';', ','), (';', '.'), ('\t', ',')])
def test_csv_of_other_countries_and_byte_order_mark(tmp_path, delimiter, point):
    table = pose(x=lambda j: j + .25)
    (tmp_path / 'walk.CSV').write_bytes(b'\xef\xbb\xbf' + csv(table, delimiter, point).replace(
        b'\n', b'\r\n'))
    (ann, ), _ = read(tmp_path)
    assert ann['keypoint'][0, 0, 3].tolist() == [3.25, 23]


def test_clips_and_persons_are_told_apart(tmp_path):
    values = people(4, 2)
    table = rows(values, 'a', lambda m: None) + rows(values[:2] + 5, 'b', lambda m: f'p{m}')
    for row in table:
        row['joint'] = row['joint'].upper() if row['clip'] == 'b' else row['joint']
        row['other'] = 'x'
    path = tmp_path / 'out.parquet'
    pq.write_table(pa.Table.from_pylist(table[:4 * 34]), path)
    (ann, ), _ = read(path)
    assert ann['keypoint'].shape == (2, 4, 17, 2)
    order = np.argsort(ann['keypoint'][:, 0, 0, 0])
    np.testing.assert_allclose(ann['keypoint'][order], values[..., :2].swapaxes(0, 1), rtol=1e-3)
    path.with_name('b.csv').write_bytes(csv(table[4 * 34:]))
    found, _ = read(path.with_name('b.csv'))
    assert found[0]['keypoint'].shape == (2, 2, 17, 2)


def test_lists_come_before_the_labels_of_the_table(tmp_path):
    (tmp_path / 'out.csv').write_bytes(csv(rows(people(2), 'a') + rows(people(2), 'b')))
    (tmp_path / 'list.txt').write_text('b 4\n')
    source = Table(tmp_path / 'out.csv', strict=True, lists=dict(train=tmp_path / 'list.txt'))
    assert [(ann['frame_dir'], ann['label'], splits) for ann, splits in source] == [
        ('b', 4, ('train', ))]


@pytest.mark.parametrize(('table', 'message'), [
    ([dict(frame=0, x=1., y=2.)], r"columns: found \['frame', 'x', 'y'\], expected frame, joint"),
    ([dict(row, z=1.) for row in pose()], "z: found a column 'z', expected 2D joints"),
    (pose() + pose(), 'rows: found a joint twice in a frame'),
    (pose(frame=.5), 'frame: found other numbers'),
    (pose(frame=None), 'frame: found other numbers'),
    (pose(height=1, width=2) + pose(1, height=1, width=3), r'width: found .*expected one size'),
    (pose(person=0, label=1) + pose(person=1, label=2), 'label: found several in a frame'),
    ([dict(row, x='a') for row in pose()], 'file: found ArrowInvalid'),
    (pose(track=None) + pose(1, track=3), 'track or person: found empty cells in'),
    (pose(x=lambda j: 'nan'), 'x, y: found no number'),
    (pose(x=lambda j: 'inf' if j else 1), 'infinite numbers'),
    ([dict(row, joint=f'j{j}') for j, row in enumerate(pose())], 'joint: found 17 joints')])
def test_faults_of_a_table_are_named(tmp_path, table, message):
    path = tmp_path / 'walk.csv'
    path.write_bytes(csv(table))
    with pytest.raises(AnnotationError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)


def test_tables_of_the_other_number_of_axes_name_the_reader(tmp_path):
    write_table(tmp_path / 'a.parquet', Videos([in_3d()]))
    with pytest.raises(AnnotationError, match='z: found a column .*table_3d reads 3D'):
        read(tmp_path / 'a.parquet')
    write_table(tmp_path / 'b.csv', Videos([tracked()]))
    with pytest.raises(AnnotationError, match='z: found no such column.*table reads 2D'):
        list(Table3D(tmp_path / 'b.csv', strict=True))


@pytest.mark.parametrize('suffix', ['.csv', '.parquet'])
@pytest.mark.parametrize('layout', ['coco17', 'smpl24'])
def test_round_trip_in_3d_is_exact(tmp_path, suffix, layout):
    joints = standing_3d(4, 2).swapaxes(0, 1)
    keypoint, score = convert(joints, np.ones(joints.shape[:3]), 'coco17', layout)
    keypoint[0, 1, 5], score[0, 1, 5] = 0, 0
    keypoint[1, 2], score[1, 2] = 0, 0
    ann = dict(frame_dir='a/b', label=2, img_shape=(1, 1), total_frames=4, keypoint_score=score,
               keypoint=keypoint.astype(np.float32), frame_inds=np.array([0, 1, 2, 6]),
               track_id=np.array([4, 2]))
    write_table(tmp_path / f'out{suffix}', Videos([ann, dict(
        ann, frame_dir='c', frame_label=np.array([0, 1, 2, 2]))], layout))
    (found, _), (other, _) = Table3D(tmp_path, strict=True, keep_3d=True)
    expected, known = convert(ann['keypoint'], score, layout)
    assert found['frame_dir'] == 'a/b'
    assert found['label'] == 2
    assert found['frame_inds'].tolist() == [0, 1, 2, 6]
    assert found['track_id'].tolist() == [2, 4]
    np.testing.assert_array_equal(found['keypoint'], expected[::-1].astype(np.float16))
    np.testing.assert_array_equal(found['keypoint_score'] > 0, known[::-1] > 0)
    assert other['frame_label'].tolist() == [0, 1, 2, 2]


def test_3d_table_is_projected_by_cameras(tmp_path):
    (tmp_path / 'walk.csv').write_bytes(csv(rows_3d(standing_3d(4, 2))))
    source = Table3D(tmp_path, strict=True, views=2, fps=30)
    found = [ann for ann, _ in source]
    assert [ann['frame_dir'] for ann in found] == ['walk_v0', 'walk_v1']
    assert found[0]['keypoint'].shape == (2, 4, 17, 2)
    assert found[0]['fps'] == 30
    assert not [note for note in source.notes if 'up' in note or 'unit' in note]


def test_columns_are_found_in_any_case_and_numbers_of_persons_as_pandas_writes_them(tmp_path):
    table = [{key.upper(): value for key, value in row.items()} for row in
             pose(track=7.) + pose(1, track=7.) + pose(1, x=lambda j: 300. + j, track=12.)]
    (tmp_path / 'a.csv').write_bytes(csv(table))
    pq.write_table(pa.Table.from_pylist(table), tmp_path / 'a.parquet')
    for path in (tmp_path / 'a.csv', tmp_path / 'a.parquet'):
        (ann, ), _ = read(path)
        assert ann['track_id'].tolist() == [7, 12]
        assert ann['keypoint'][1, 1, 3].tolist() == [303, 23]


def test_person_that_is_nan_in_parquet_is_an_empty_cell(tmp_path):
    table = pa.table(dict(frame=[0] * 17, joint=list(JOINTS), x=np.arange(1., 18), y=np.ones(17),
                          track=np.full(17, np.nan)))
    pq.write_table(table, tmp_path / 'a.parquet')
    (ann, ), _ = read(tmp_path / 'a.parquet')
    assert len(ann['keypoint']) == 1


def test_parquet_that_unpacks_to_too_much_is_refused(tmp_path):
    table = pa.table(dict(frame=np.zeros(10**7), x=np.zeros(10**7), y=np.zeros(10**7),
                          joint=pa.nulls(10**7, pa.string())))
    pq.write_table(table, tmp_path / 'a.parquet')
    assert (tmp_path / 'a.parquet').stat().st_size < 10**5
    with pytest.raises(AnnotationError, match='rows: found 10000000 in'):
        read(tmp_path / 'a.parquet')


def test_table_of_as_many_joints_as_rows_is_refused_without_memory(tmp_path):
    table = [dict(frame=i, joint=f'joint {i}', x=1., y=2.) for i in range(900)]
    (tmp_path / 'a.csv').write_bytes(csv(table))
    with pytest.raises(AnnotationError, match='joint: found 900 names in 900 rows'):
        read(tmp_path / 'a.csv')


@pytest.mark.parametrize('content', [csv(rows(people(2))), parquet(rows(people(2)))])
def test_table_is_recognized(tmp_path, content):
    from mofm.sources.recognition import Sample
    from mofm.utils.file_tree import FileTree

    path = tmp_path / ('a.parquet' if content[:4] == b'PAR1' else 'a.csv')
    path.write_bytes(content)
    assert Table.recognize(Sample(FileTree(path), '')) == (
        'a table with the columns frame, joint, x and y')


@pytest.mark.parametrize('suffix', ['.csv', '.parquet'])
def test_round_trip_of_boxes_keeps_those_of_the_annotations(tmp_path, suffix):
    box = np.zeros((2, 4, 4), np.float32)
    box[0], box[1] = (90, 190, 130, 250.5), (390, 190, 430, 250)
    box[1, 2] = box[0, 3] = 0  # nobody, and a person without a box
    write_table(tmp_path / f'out{suffix}', Videos([tracked(box=box), tracked('no boxes')]))
    (found, other), source = read(tmp_path / f'out{suffix}')
    around = [103.25, 200, 119.25, 232]  # the joints
    np.testing.assert_array_equal(found['box'][0], [box[0, 0]] * 3 + [around])
    np.testing.assert_array_equal(found['box'][1], box[1])
    np.testing.assert_array_equal(other['box'][0, 3], around)
    assert not source.notes
