"""Wide tables of poses, one row a frame, in the spellings that people use."""
import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.joint_order import named_layout
from mofm.sources.mocap.table_3d import Table3D
from mofm.sources.pose_programs.table import Table
from mofm.sources.prepare import prepare
from mofm.sources.recognition import recognize, resolve
from mofm.structures import LAYOUTS
from tests.test_sources.native_files.mocap_programs import LABELS, plug_in_gait
from tests.test_sources.native_files.pose_detectors import people
from tests.test_sources.native_files.table import JOINTS, csv, standing_3d

VALUES = people(4, 1)[:, 0]  # (T, 17, 3)


def wide(values=VALUES, joints=JOINTS, form='{joint}_{axis}', axes=('x', 'y', 'score'), **columns):
    """Rows of a person (T, J, C) with further columns in front, a list or one value each."""
    return [{**{key: value[t] if isinstance(value, list) else value
                for key, value in columns.items()},
             **{form.format(joint=joint, axis=axis): float(value)
                for joint, point in zip(joints, pose, strict=True)
                for axis, value in zip(axes, point, strict=False)}}
            for t, pose in enumerate(values)]


def write(path, table, **options):
    path.write_bytes(csv(table, **options))
    return path


def read(path, **options):
    source = Table(path, strict=True, **{'max_gap': 0, **options})
    return [ann for ann, _ in source], source


def check(ann, values=VALUES):
    np.testing.assert_allclose(ann['keypoint'][0], values[..., :2], rtol=1e-3)
    np.testing.assert_allclose(ann['keypoint_score'][0], values[..., 2], atol=1e-3)


@pytest.mark.parametrize('merged', [True, False])
@pytest.mark.parametrize('delimiter', [',', ';'])
def test_names_may_be_in_a_row_above_x_and_y(tmp_path, merged, delimiter):
    """Spreadsheets have a name over the first of its columns only."""
    path = write(tmp_path / 'a.csv', wide(frame=[3, 4, 5, 6]))
    _, *rows = path.read_text().splitlines()
    above = ['', *(joint if i == 0 or not merged else '' for joint in JOINTS for i in range(3))]
    below = ['frame', *['X', 'Y', 'Likelihood'] * 17]
    path.write_text('\n'.join([','.join(above), ','.join(below), *rows]).replace(',', delimiter))
    assert resolve(path).source == 'table'
    (ann, ), _ = read(path)
    assert ann['frame_inds'].tolist() == [3, 4, 5, 6]
    check(ann)


@pytest.mark.parametrize(('form', 'joints', 'axes'), [
    ('{joint}_{axis}', JOINTS, ('x', 'y', 'score')),
    ('{joint}.{axis}', JOINTS, ('x', 'y', 'conf')),
    ('{joint} {axis}', [name.replace('_', ' ') for name in JOINTS], ('x', 'y', 'likelihood')),
    ('{joint} ({axis})', JOINTS, ('x', 'y', 'confidence')),
    ('{axis}_{joint}', JOINTS, ('x', 'y', 'c')),
    ('{joint}_{axis}', [name.upper() for name in JOINTS], ('X', 'Y', 'VISIBILITY')),
    ('{joint}_{axis}', JOINTS, ('X', 'Y', 'v')),
    ('{joint}{axis}', ['nose', *(re.sub('_(.)', lambda m: m[1].upper(), name)
                                 for name in JOINTS[1:])], ('X', 'Y', 'Score')),
    ('kp_{joint}_{axis}', JOINTS, ('x', 'y', 'p')),
    ('"{joint}_{axis}"', ['Nose', 'LEye', 'REye', 'LEar', 'REar', 'LShoulder', 'RShoulder',
                          'LElbow', 'RElbow', 'LWrist', 'RWrist', 'LHip', 'RHip', 'LKnee',
                          'RKnee', 'LAnkle', 'RAnkle'], ('x', 'y', 'score'))])
@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
def test_spellings_of_columns_are_read_by_auto(tmp_path, form, joints, axes, delimiter):
    table = wide(joints=joints, form=form, axes=axes, frame=[0, 1, 2, 3])
    path = write(tmp_path / 'walk.csv', table, delimiter=delimiter)
    assert resolve(path).source == 'table'
    (ann, ), source = read(path)
    assert ann['frame_dir'] == 'walk'
    check(ann)
    assert any('joints are those of coco17, by the names' in note for note in source.notes)


def test_table_without_frame_and_score_has_a_frame_a_row(tmp_path):
    (ann, ), source = read(write(tmp_path / 'a.csv', wide(VALUES[..., :2])))
    np.testing.assert_allclose(ann['keypoint'][0], VALUES[..., :2], rtol=1e-3)
    assert ann['keypoint_score'].min() == 1
    assert 'there is no column frame: rows are the frames' in source.notes


def test_order_of_columns_does_not_matter_and_others_are_passed_over(tmp_path):
    table = [dict(sorted(row.items())) for row in wide(
        Frame_ID=[5, 6, 7, 8], mean_score=.5, bbox_x=1., bbox_y=2., comment='x')]
    (ann, ), _ = read(write(tmp_path / 'a.csv', table))
    check(ann)
    assert ann['frame_inds'].tolist() == [5, 6, 7, 8]


def test_decimal_commas_and_byte_order_mark(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_bytes(b'\xef\xbb\xbf' + csv(wide(frame=[0, 1, 2, 3]), ';', ',').replace(
        b'\n', b'\r\n'))
    check(read(path)[0][0])


def test_parquet_is_read_as_csv_is(tmp_path):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(wide(frame=[0, 1, 2, 3], label=2)), out)
    (tmp_path / 'a.parquet').write_bytes(out.getvalue())
    assert resolve(tmp_path / 'a.parquet').source == 'table'
    (ann, ), _ = read(tmp_path / 'a.parquet')
    check(ann)
    assert ann['label'] == 2


def test_missing_cells_and_columns_are_missing_joints(tmp_path):
    table = wide(VALUES[:, :-2], JOINTS[:-2], frame=[0, 1, 2, 3])
    table[1]['left_elbow_x'] = table[1]['left_elbow_y'] = None
    table[2]['nose_y'] = float('nan')
    (ann, ), source = read(write(tmp_path / 'a.csv', table))
    missing = ann['keypoint_score'][0] == 0
    assert missing[:, 15:].all()
    assert np.argwhere(missing[:, :15]).tolist() == [[1, 7], [2, 0]]
    assert any(note.endswith('joints without columns are missing: left_ankle, right_ankle')
               for note in source.notes)


def test_gap_of_frames_is_filled_as_in_other_tables(tmp_path):
    table = wide(VALUES[[0, 1, 3]], frame=[0, 1, 3])
    (ann, ), _ = read(write(tmp_path / 'a.csv', table), max_gap=5)
    assert ann['total_frames'] == 4
    assert ann['keypoint_score'][0].all()


def test_persons_and_videos_are_told_apart(tmp_path):
    values = people(3, 2)
    table = [row for video in ('a', 'b') for m in range(2)
             for row in wide(values[:, m], video=video, frame=[0, 1, 2], id=m + 4)]
    (a, b), _ = read(write(tmp_path / 'all.csv', table))
    assert [a['frame_dir'], b['frame_dir']] == ['a', 'b']
    assert sorted(a['track_id'].tolist()) == [4, 5]
    order = np.argsort(a['track_id'])
    np.testing.assert_allclose(a['keypoint'][order], values[..., :2].swapaxes(0, 1), rtol=1e-3)


def test_persons_without_ids_are_tracked(tmp_path):
    values = people(3, 2)
    table = [row for t in range(3) for m in (0, 1) for row in wide(values[t:t + 1, m], frame=t)]
    (ann, ), _ = read(write(tmp_path / 'a.csv', table))
    assert ann['keypoint'].shape[:2] == (2, 3)
    assert 'track_id' not in ann


def test_id_of_rows_and_names_of_images_are_no_persons_and_videos(tmp_path):
    table = wide(id=[3, 4, 5, 6], file=[f'{i}.jpg' for i in range(4)])
    (ann, ), source = read(write(tmp_path / 'a.csv', table))
    check(ann)
    assert {"column 'id' differs in every row and is not used",
            "column 'file' differs in every row and is not used"} <= source.notes.keys()


def test_rows_without_a_person_need_no_id(tmp_path):
    table = wide(frame=[0, 1, 2, 3], person=[1, None, 1, 1])
    for key in table[1].keys() - {'frame'}:
        table[1][key] = None
    (ann, ), _ = read(write(tmp_path / 'a.csv', table))
    assert ann['keypoint_score'][0].any(1).tolist() == [True, False, True, True]


@pytest.mark.parametrize(('time', 'unit'), [
    ([0, .04, .08, .16], 'seconds'), ([1e9, 1e9 + 40, 1e9 + 80, 1e9 + 160], 'milliseconds')])
def test_times_are_frames_with_a_rate(tmp_path, time, unit):
    (ann, ), source = read(write(tmp_path / 'a.csv', wide(timestamp=time)))
    assert ann['fps'] == pytest.approx(25)
    assert ann['frame_inds'].tolist() == [0, 1, 2, 4]
    assert f'times are read as {unit}: 25 frames per second' in source.notes


def test_times_beside_frames_give_the_rate_and_text_is_not_used(tmp_path):
    (ann, ), _ = read(write(tmp_path / 'a.csv', wide(frame=[0, 2, 4, 6], time=[0, .1, .2, .3])))
    assert ann['fps'] == pytest.approx(10)  # every second frame is a row
    (ann, ), source = read(write(tmp_path / 'b.csv', wide(
        frame=[0, 1, 2, 3], time='00:00:01', label='walk')))
    assert 'fps' not in ann
    assert {"column 'time' has no numbers and is not used",
            "column 'label' has no numbers and is not used"} <= source.notes.keys()


@pytest.mark.parametrize('layout', ['body25', 'halpe26', 'h36m17', 'penn13', 'mediapipe33'])
def test_layouts_are_found_by_their_names(tmp_path, layout):
    joints = LAYOUTS[layout].joints
    values = np.random.default_rng(0).uniform(50, 400, (3, len(joints), 2))
    path = write(tmp_path / 'a.csv', wide(values, joints, frame=[0, 1, 2], person=1))
    source = Table(path, to_layout=layout)
    (ann, _), = source.annotations('', source.load(''))
    np.testing.assert_allclose(ann['keypoint'][0], values, rtol=1e-3)
    assert any(f'joints are those of {layout},' in note for note in source.notes)


def test_names_of_programs_are_those_of_their_layouts():
    openpose = ['Nose', 'Neck', 'RShoulder', 'RElbow', 'RWrist', 'LShoulder', 'LElbow', 'LWrist',
                'MidHip', 'RHip', 'RKnee', 'RAnkle', 'LHip', 'LKnee', 'LAnkle', 'REye', 'LEye',
                'REar', 'LEar', 'LBigToe', 'LSmallToe', 'LHeel', 'RBigToe', 'RSmallToe', 'RHeel']
    assert named_layout(openpose) == ('body25', list(range(25)))
    assert named_layout(['left_hip', 'right_hip', 'left_knee']) == ('coco17', [11, 12, 13])
    layout, joints = named_layout(['MOUTH_LEFT', 'LEFT_FOOT_INDEX', 'left_pinky', 'left_heel'])
    assert layout == 'mediapipe33'
    assert joints == [9, 31, 17, 29]


@pytest.mark.parametrize(('table', 'message'), [
    ([{k: v for k, v in row.items() if k != 'left_hip_y'} for row in wide()],
     "columns: found 'left_hip_x', 'left_hip_score' without y of 'left_hip', expected x, y of"),
    ([{k: v for k, v in row.items() if k[-2:] != '_y'} for row in wide()],
     "columns: found 'nose_x', 'nose_score' without y of 'nose'"),
    ([dict(row, NOSE_X=1.) for row in wide()], "columns: found 'nose_x' and 'NOSE_X', expected"),
    ([dict(row, eye_left_x=1., eye_left_y=1.) for row in wide()],
     "joints: found 'left_eye' and 'eye_left', expected every joint once"),
    (wide(joints=[*JOINTS[:-1], 'right_ankel']),
     'joints: found unknown names right_ankel, expected names as of coco17 .nose, left.*--map'),
    (wide(frame=[0, 1, 1, 2], person=1), 'rows: found a person twice in a frame'),
    (wide(person=[1, 1, 1, 2]), 'columns: found persons in .* and no frame or time'),
    (wide(frame=[0, 1, 2.5, 3]), 'frame: found other numbers'),
    (wide(np.full((2, 17, 2), np.nan)), 'x, y: found no number'),
    (wide(VALUES / 1000, frame=[0, 1, 2, 3]), 'coordinates of 0 to 1.*--img-shape'),
    ([dict(row, nose_x='left') for row in wide()], "found ArrowInvalid.*'left'"),
    ([dict(frame=1, a=1, b=2)], r"columns: found \['frame', 'a', 'b'\], expected frame, joint, "
     'x, y, with a row a frame, person and joint; or a row a frame with x and y of each joint, '
     'e.g. nose_x, nose_y')])
def test_faults_of_a_table_are_named(tmp_path, table, message):
    with pytest.raises(AnnotationError, match=message) as error:
        read(write(tmp_path / 'walk.csv', table))
    assert str(tmp_path / 'walk.csv') in str(error.value)


def test_coordinates_of_the_unit_square_take_the_size_of_the_image(tmp_path):
    table = wide(VALUES * (1 / 1000, 1 / 1000, 1), frame=[0, 1, 2, 3])
    (ann, ), source = read(write(tmp_path / 'a.csv', table), img_shape=(1000, 1000))
    check(ann)
    assert any('scaled with the size' in note for note in source.notes)
    sized = [dict(row, image_width=1000, image_height=1000) for row in table]
    check(read(write(tmp_path / 'b.csv', sized))[0][0])


def test_other_names_are_read_by_map_and_by_layout(tmp_path):
    names = [f'p{i}' for i in range(17)]
    path = write(tmp_path / 'a.csv', wide(joints=names, frame=[0, 1, 2, 3]))
    check(read(path, layout='coco17')[0][0])
    (tmp_path / 'map.json').write_text(json.dumps(dict(zip(JOINTS, names[::-1], strict=True))))
    check(read(path, joint_map=tmp_path / 'map.json')[0][0], VALUES[:, ::-1])


def test_3d_table_is_read_by_table_3d_only(tmp_path):
    values = standing_3d(4, 1)[:, 0]
    path = write(tmp_path / 'a.csv', wide(values, axes='xyz', frame=[0, 1, 2, 3]))
    with pytest.raises(AnnotationError, match="z: found a column 'nose_z', .*table_3d reads 3D"):
        read(path)
    assert resolve(path).source == 'table_3d'
    (ann, _), = Table3D(path, strict=True, keep_3d=True)
    np.testing.assert_array_equal(ann['keypoint'][0], values.astype(np.float16))
    flat = write(tmp_path / 'b.csv', wide())
    with pytest.raises(AnnotationError, match='z: found no such column.*table reads 2D'):
        list(Table3D(flat, strict=True))


def test_markers_of_plug_in_gait_are_found_by_auto(tmp_path):
    path = write(tmp_path / 'a.tsv', wide(plug_in_gait(4), LABELS, axes='XYZ'), delimiter='\t')
    assert resolve(path).source == 'table_3d'
    source = Table3D(path, strict=True, up='z', keep_3d=True)
    (ann, _), = source
    assert any('--map plug_in_gait' in note for note in source.notes)
    heads, feet = ann['keypoint'][0, :, 0, 1], ann['keypoint'][0, :, 15:, 1]
    assert (heads[:, None] > feet + 1).all()


def test_bad_table_of_a_folder_is_named_and_skipped(tmp_path):
    write(tmp_path / 'a.csv', wide(frame=[0, 1, 2, 3]))
    bad = [{k: v for k, v in row.items() if k != 'nose_y'} for row in wide(frame=[0, 1, 2, 3])]
    write(tmp_path / 'b.csv', bad)
    assert [match.source for match in recognize(tmp_path)] == ['table']
    report = prepare(Table(tmp_path), tmp_path / 'out.npz', workers=0)
    assert report.clips == 1
    problem, = report.problems
    assert "b.csv: columns: found 'nose_x', 'nose_score' without y of 'nose'" in str(problem)


def test_tables_of_other_sensors_are_not_recognized(tmp_path):
    write(tmp_path / 'imu.csv', [dict(time=0., accel_x=1., accel_y=2., accel_z=3., gyro_x=1.)])
    assert not recognize(tmp_path)
