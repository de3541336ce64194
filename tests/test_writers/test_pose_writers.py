"""Poses in the formats of other programs, by values."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from mofm.annotations import AnnotationError
from mofm.annotations.video_poses import Videos
from mofm.sources import BVH, AlphaPose
from mofm.sources.mocap.trc import TRC
from mofm.sources.pose_programs.coco import COCO as COCOSource
from mofm.structures import LAYOUTS
from mofm.writers import (
    write_alphapose,
    write_coco,
    write_cvat,
    write_label_studio,
    write_motion,
    write_table,
)
from tests.test_writers.annotations import in_3d, tracked

COCO = LAYOUTS['coco17']


def tracks(name, ids=(7, 9), **fields):
    """The persons of a clip as annotations of their own, without rows of an absent person."""
    both = tracked(name, ids=ids, **fields)
    for m, track in enumerate(ids):
        seen = both['keypoint'][m].any((1, 2))
        yield dict(both, frame_dir=f'{name}/{track}', clip=name, track_id=track,
                   keypoint=both['keypoint'][m:m + 1, seen],
                   keypoint_score=both['keypoint_score'][m:m + 1, seen],
                   total_frames=int(seen.sum()), frame_inds=both['frame_inds'][seen])


# ------------------------------------------------------------------------------------------ poses
def test_videos_of_tracks_and_of_one_annotation_are_equal():
    whole, = Videos([tracked(track_id=np.array([7, 9]))])
    parts, = Videos(list(tracks('walk')))
    assert whole.frame.tolist() == parts.frame.tolist() == [0, 0, 1, 1, 2, 5, 5]
    assert whole.person.tolist() == parts.person.tolist() == [7, 9, 7, 9, 7, 7, 9]
    np.testing.assert_array_equal(whole.keypoint, parts.keypoint)
    np.testing.assert_array_equal(whole.box, parts.box)
    assert whole.name == parts.name == 'walk'
    assert whole.frames.tolist() == [0, 1, 2, 5]


def test_videos_missing_joint_is_nan_and_box_is_around_the_others():
    video, = Videos([tracked(ids=(0, ))])
    assert np.isnan(video.keypoint[1, 9]).all()
    assert np.isnan(video.score[1, 9])
    assert np.isfinite(np.delete(video.keypoint[1], 9, 0)).all()
    assert video.box[1].tolist() == [101.25, 200, 117.25, 232]


def test_videos_box_of_the_annotation_is_kept_where_it_has_one():
    box = np.zeros((1, 4, 4), np.float32)
    box[0, 0] = 90, 190, 130, 240
    video, = Videos([tracked(ids=(0, ), box=box)])
    assert video.box[0].tolist() == [90, 190, 130, 240]
    assert video.box[2].tolist() == [102.25, 200, 118.25, 232]


def test_videos_of_tracks_of_several_sizes_have_the_largest():
    video, = Videos([tracked('a', ids=(0, ), clip='c', track_id=1, img_shape=(400, 700)),
                     tracked('b', ids=(0, ), clip='c', track_id=2)])
    assert video.img_shape == (480, 700)


def test_videos_persons_without_ids_count_through_the_annotations_of_a_clip():
    video, = Videos([tracked('a', ids=(0, 1), clip='c'), tracked('b', ids=(0, ), clip='c')])
    assert np.unique(video.person).tolist() == [0, 1, 2]
    assert not video.tracked


def test_videos_person_twice_in_a_frame_is_refused():
    twice = [tracked('a', ids=(0, ), clip='c', track_id=3) for _ in range(2)]
    with pytest.raises(AnnotationError, match="video 'c': found person 3 twice in frame 0"):
        list(Videos(twice))


def test_videos_other_layout_names_those_that_fit():
    with pytest.raises(AnnotationError, match=r"'walk': keypoint: found 25 joints.*kinect25"):
        Videos([tracked(joints=25)])


def test_videos_2d_and_3d_together_are_refused():
    with pytest.raises(AnnotationError, match='2D and 3D joints'):
        Videos([tracked(), in_3d()])


# ------------------------------------------------------------------------------------------- COCO
def test_coco_has_images_tracks_and_names_of_joints(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    write_coco(path, Videos([tracked('x/a', track_id=np.array([7, 9]), fps=25.),
                             tracked('b', frames=(0, ), ids=(0, ))]))
    data = json.loads(path.read_text())
    category, = data['categories']
    assert category['keypoints'] == list(COCO.joints)
    assert category['skeleton'] == [[a + 1, b + 1] for a, b in COCO.edges]
    assert data['videos'] == [
        dict(id=1, name='x/a', file_name='x_a', width=640, height=480, fps=25),
        dict(id=2, name='b', file_name='b', width=640, height=480)]
    assert [(i['id'], i['file_name'], i['frame_id'], i['video_id']) for i in data['images']] == [
        (1, 'x_a/frame_000000.jpg', 0, 1), (2, 'x_a/frame_000001.jpg', 1, 1),
        (3, 'x_a/frame_000002.jpg', 2, 1), (4, 'x_a/frame_000005.jpg', 5, 1),
        (5, 'b/frame_000000.jpg', 0, 2)]
    assert {(i['width'], i['height']) for i in data['images']} == {(640, 480)}
    poses = data['annotations']
    assert [p['id'] for p in poses] == list(range(1, 9))
    assert [p['image_id'] for p in poses] == [1, 1, 2, 2, 3, 4, 4, 5]
    assert [p['track_id'] for p in poses] == [7, 9, 7, 9, 7, 7, 9, 0]
    assert poses[0]['keypoints'][:6] == [100.25, 200, 2, 101.25, 202, 2]
    assert poses[2]['keypoints'][27:30] == [0, 0, 0]
    assert poses[2]['num_keypoints'] == 16
    assert poses[0]['bbox'] == [100.25, 200, 16, 32]
    assert poses[0]['area'] == 512
    assert poses[2]['keypoint_scores'][8:11] == [.75, 0, .75]
    assert {(p['score'], p['label'], p['iscrowd'], p['category_id']) for p in poses} == {
        (.75, 1, 0, 1)}


def test_coco_3d_joints_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match='found 3D joints in meters'):
        write_coco(tmp_path / 'a.json', Videos([in_3d()]))
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------------- AlphaPose
def test_alphapose_round_trip_keeps_ids_frames_joints_and_scores(tmp_path):
    written = write_alphapose(tmp_path, Videos([tracked()] + list(tracks('run', (3, 4)))))
    assert [path.name for path in written] == ['walk.json', 'run.json']
    first = json.loads(written[0].read_text())[0]
    assert first['image_id'] == '0.jpg'
    assert first['box'] == [100.25, 200, 16, 32]
    assert first['score'] == .75
    found = {ann['frame_dir']: ann for ann, _ in AlphaPose(
        tmp_path, strict=True, max_gap=0, img_shape=(480, 640))}
    expected = tracked()
    np.testing.assert_array_equal(found['walk']['keypoint'], expected['keypoint'])
    np.testing.assert_array_equal(found['walk']['keypoint_score'], expected['keypoint_score'])
    assert found['walk']['frame_inds'].tolist() == [0, 1, 2, 5]
    assert found['run']['frame_inds'].tolist() == [0, 1, 2, 5]
    tracks_of_run = [ann for ann, _ in AlphaPose(written[1], strict=True, tracks=True, max_gap=0)]
    assert sorted({ann['track_id'] for ann in tracks_of_run}) == [3, 4]


def test_alphapose_other_layout_is_refused(tmp_path):
    with pytest.raises(ValueError, match="layout: found 'h36m17'"):
        write_alphapose(tmp_path, Videos([tracked()], 'h36m17'))


# ----------------------------------------------------------------------------------------- tables
HEAD = ['clip', 'track', 'frame', 'person', 'joint', 'x', 'y', 'score', 'label', 'height', 'width']


def test_csv_has_a_row_a_frame_person_and_joint(tmp_path):
    path = tmp_path / 'a.csv'
    write_table(path, Videos([tracked('a,"b"', track_id=np.array([7, 9])), tracked('=b')]))
    with path.open(newline='') as f:
        head, *rows = csv.reader(f)
    assert head == HEAD
    assert len(rows) == 2 * 7 * 17
    assert rows[0] == ['a,"b"', '7', '0', '0', 'nose', '100.25', '200', '0.75', '1', '480', '640']
    assert rows[18] == ['a,"b"', '9', '0', '1', 'left_eye', '401.25', '202', '0.75', '1', '480',
                        '640']
    assert rows[2 * 17 + 9] == ['a,"b"', '7', '1', '0', 'left_wrist', '', '', '', '1', '480',
                                '640']
    assert rows[7 * 17][:2] == ["'=b", '']


def test_parquet_keeps_types_missing_values_and_frame_labels(tmp_path):
    path = tmp_path / 'a.parquet'
    write_table(path, Videos([tracked(frame_label=np.array([0, 1, 1, 0]))]))
    table = pq.read_table(path)
    assert table.column_names == HEAD
    assert str(table.schema.field('x').type) == 'float'
    assert table['track'].null_count == len(table)
    assert table['x'].null_count == table['score'].null_count == 1
    assert table['label'].to_pylist()[::17] == [0, 0, 1, 1, 1, 0, 0]


def test_table_of_3d_joints_has_z(tmp_path):
    write_table(tmp_path / 'a.parquet', Videos([in_3d(persons=2)]))
    table = pq.read_table(tmp_path / 'a.parquet')
    assert table.column_names == ['clip', 'track', 'frame', 'person', 'joint', 'x', 'y', 'z',
                                  'score', 'label']
    row = {name: table[name].to_pylist()[2 * 17 + 17 + 3] for name in table.column_names}
    assert row == dict(clip='jump', track=None, frame=1, person=1, joint='left_ear',
                       x=pytest.approx(1.3), y=1.125, z=2, score=1, label=2)


# -------------------------------------------------------------------------------- nobody is there
def nobody(name='empty', persons=0, **fields):
    """Three frames without poses, of no person or of persons without joints."""
    return dict(frame_dir=name, label=0, img_shape=(48, 64), total_frames=3,
                keypoint=np.zeros((persons, 3, 17, 2), np.float16),
                keypoint_score=np.zeros((persons, 3, 17), np.float16), **fields)


@pytest.mark.parametrize('persons', [0, 2])
def test_video_without_poses_is_written_in_every_format(tmp_path, persons):
    videos = Videos([nobody(persons=persons), tracked()])
    write_coco(tmp_path / 'a.json', videos)
    data = json.loads((tmp_path / 'a.json').read_text())
    assert [i['file_name'] for i in data['images']][:3] == [
        f'empty/frame_00000{i}.jpg' for i in range(3)]
    assert {a['image_id'] for a in data['annotations']} == {4, 5, 6, 7}
    assert [len(json.loads(path.read_text())) for path in write_alphapose(
        tmp_path / 'b', videos)] == [0, 7]
    _, empty, _ = write_cvat(tmp_path / 'c', videos)
    assert json.loads(empty.read_text())['annotations'] == []
    assert len(json.loads(empty.read_text())['images']) == 3
    _, tasks = write_label_studio(tmp_path / 'd', videos)
    assert [len(task['predictions'][0]['result']) for task in json.loads(tasks.read_text())] == [
        0, 0, 0, 36, 35, 18, 36]
    for suffix in ('.csv', '.parquet'):
        write_table(tmp_path / f'a{suffix}', videos)
        write_table(tmp_path / f'b{suffix}', Videos([nobody()]))
    assert set(pq.read_table(tmp_path / 'a.parquet')['clip'].to_pylist()) == {'walk'}
    assert len(pq.read_table(tmp_path / 'b.parquet')) == 0
    assert (tmp_path / 'b.csv').read_text().count('\n') == 1
    assert pq.read_schema(tmp_path / 'b.parquet').equals(pq.read_schema(tmp_path / 'a.parquet'))


# --------------------------------------------------------------------------------------------- 3D
def test_trc_has_the_header_of_opensim_and_empty_cells(tmp_path):
    ann = in_3d(frames=3)
    ann['keypoint'][0, 1, 1] = 0
    ann['frame_inds'] = np.array([2, 3, 5])
    (path, ), filled = write_motion(tmp_path, Videos([ann]), '.trc', fps=50)
    lines = path.read_text().split('\n')
    assert filled == 0
    assert lines[0] == 'PathFileType\t4\t(X/Y/Z)\tjump.trc'
    assert lines[1].split('\t') == [
        'DataRate', 'CameraRate', 'NumFrames', 'NumMarkers', 'Units', 'OrigDataRate',
        'OrigDataStartFrame', 'OrigNumFrames']
    assert lines[2] == '50\t50\t4\t17\tm\t50\t3\t4'
    assert lines[3].startswith('Frame#\tTime\tnose\t\t\tleft_eye\t\t\tright_eye\t\t\t')
    assert lines[4].startswith('\t\tX1\tY1\tZ1\tX2\t')
    assert lines[4].endswith('\tX17\tY17\tZ17')
    assert lines[5] == ''
    rows = [line.split('\t') for line in lines[6:10]]
    assert {len(row) for row in rows} == {2 + 3 * 17}
    assert [row[:2] for row in rows] == [
        ['3', '0.040000'], ['4', '0.060000'], ['5', '0.080000'], ['6', '0.100000']]
    assert rows[0][2:8] == ['0.000000', '1.000000', '2.000000', '0.100000', '1.000000', '2.000000']
    assert rows[1][5:8] == [''] * 3
    assert rows[2][2:] == [''] * 51  # no row of the annotation
    assert lines[10:] == ['']


def test_bvh_and_trc_are_a_file_a_person(tmp_path):
    videos = Videos([in_3d('a/b', persons=2), dict(in_3d('c'), fps=20.)])
    written, _ = write_motion(tmp_path, videos, '.trc', fps=30)
    assert [path.name for path in written] == ['a_b+0.trc', 'a_b+1.trc', 'c.trc']
    with pytest.raises(ValueError, match="fps: found none in 'a/b'"):
        write_motion(tmp_path, videos, '.bvh')
    written, _ = write_motion(tmp_path, Videos([dict(in_3d('c'), fps=20.)]), '.bvh')
    assert 'Frame Time: 0.05000000' in written[0].read_text()


def test_bvh_missing_joint_is_interpolated_and_counted(tmp_path):
    ann = in_3d()
    ann['keypoint'][0, 1, 0] = 0
    (path, ), filled = write_motion(tmp_path, Videos([ann]), '.bvh', fps=30)
    assert filled == 1
    rows = np.loadtxt(path.read_text().split('Frame Time')[1].splitlines()[1:])
    np.testing.assert_allclose(rows[:, 1], [100, 112.5, 125, 137.5])  # the root, in cm
    ann['keypoint'][0, :, 4] = 0
    with pytest.raises(ValueError, match="found no 'right_ear' in any frame"):
        write_motion(tmp_path, Videos([ann]), '.bvh', fps=30)


def test_motion_of_2d_joints_is_refused(tmp_path):
    with pytest.raises(ValueError, match='found 2D joints in pixels'):
        write_motion(tmp_path, Videos([tracked()]), '.trc', fps=30)


# ------------------------------------------------------------------------------ there and back
def test_coco_round_trip_keeps_joints_scores_boxes_ids_and_empty_frames(tmp_path):
    box = np.full((2, 4, 4), 10, np.float32) * [1, 2, 30, 40]
    ann = tracked('walk', track_id=np.array([7, 9]), box=box, frames=(0, 1, 2, 3))
    ann['keypoint_score'][1] *= np.float16(.5)
    write_coco(tmp_path / 'walk.json', Videos([ann]))
    (found, splits), = COCOSource(tmp_path / 'walk.json', strict=True, max_gap=0)
    assert found['frame_dir'] == 'walk'
    for field in ('keypoint', 'keypoint_score', 'track_id'):
        np.testing.assert_array_equal(found[field], ann[field])
    seen = ann['keypoint'].any((2, 3))
    np.testing.assert_array_equal(found['box'][seen], box[seen])
    assert not found['box'][~seen].any()
    write_coco(tmp_path / 'empty.json', Videos([nobody(), tracked()]))
    found = {ann['frame_dir']: ann for ann, _ in COCOSource(tmp_path / 'empty.json', strict=True)}
    assert found['empty/empty']['total_frames'] == 3
    assert not len(found['empty/empty']['keypoint'])


def test_coco_round_trip_of_another_layout_goes_by_names(tmp_path):
    ann = tracked('walk', joints=26, ids=(0, ))
    write_coco(tmp_path / 'walk.json', Videos([ann], 'halpe26'))
    (found, _), = COCOSource(tmp_path / 'walk.json', strict=True, max_gap=0)
    np.testing.assert_array_equal(found['keypoint'], ann['keypoint'][:, :, :17])


def walking(frames=8):
    """COCO-17 (1, T, 17, 3) in meters of somebody who walks along z, with constant bones."""
    x = [0, .03, -.03, .07, -.07, .19, -.19, .23, -.23, .25, -.25, .11, -.11, .12, -.12, .12, -.12]
    y = [1.6, 1.65, 1.65, 1.63, 1.63, 1.42, 1.42, 1.14, 1.14, .9, .9, .95, .95, .52, .52, .1, .1]
    z = np.array([.12, .1, .1, .02, .02] + [0] * 12) + .04 * np.arange(17) % .03
    joints = np.stack([x, y, z], -1)[None, None].repeat(frames, 1)
    joints[..., 2] += .05 * np.arange(frames)[:, None]
    return joints.astype(np.float32)


@pytest.mark.parametrize(('suffix', 'reader'), [('.trc', TRC), ('.bvh', BVH)])
def test_3d_round_trip_keeps_joints_and_frame_rate(tmp_path, suffix, reader):
    keypoint = walking()
    ann = dict(in_3d('a', frames=8), keypoint=keypoint, keypoint_score=np.ones((1, 8, 17)))
    write_motion(tmp_path, Videos([ann]), suffix, fps=50)
    (found, _), = reader(tmp_path, strict=True, keep_3d=True)
    assert found['frame_dir'] == 'a'
    assert found['fps'] == 50
    np.testing.assert_allclose(found['keypoint'], keypoint, atol=1e-3)  # float16
    assert found['keypoint_score'].all()


def test_trc_round_trip_keeps_missing_joints(tmp_path):
    keypoint = walking()
    keypoint[0, 2, 9] = 0
    ann = dict(in_3d('a', frames=8), keypoint=keypoint, keypoint_score=np.ones((1, 8, 17)))
    write_motion(tmp_path, Videos([ann]), '.trc', fps=50)
    (found, _), = TRC(tmp_path, strict=True, keep_3d=True)
    assert np.argwhere(found['keypoint_score'] == 0).tolist() == [[0, 2, 9]]
