"""Predictions of MMPose: inferencer and demo, videos and images, boxes."""

import json
import pickle
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.keypoints import CameraRange
from mofm.sources.pose_programs.mmpose import MMPoseJSON
from mofm.sources.pose_programs.mmpose_3d import MMPose3D
from mofm.sources.recognition import recognize
from mofm.structures import LAYOUTS, convert
from tests.test_sources.native_files.pose_detectors import (
    dump,
    instances,
    mmpose_demo,
    mmpose_demo_3d,
    mmpose_video,
    people,
    standing_3d,
)

VALUES = people(frames=12, persons=2)


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dump(content))
    return root


def read(root, **kwargs):
    return [ann for ann, _ in MMPoseJSON(root, strict=True, **kwargs)]


def check(ann, values=VALUES):
    order = np.argsort(ann['keypoint'][:, 0, 0, 0])
    expected = values.transpose(1, 0, 2, 3).astype(np.float16)
    np.testing.assert_array_equal(ann['keypoint'][order], expected[..., :2])
    np.testing.assert_array_equal(ann['keypoint_score'][order], expected[..., 2])


@pytest.mark.parametrize('box', [lambda b: b, lambda b: [b], tuple, lambda b: (b,)])
@pytest.mark.parametrize('form', ['video', 'demo', 'own', 'images'])
def test_mmpose_json_forms_give_the_same_poses(tmp_path, form, box):
    """The same poses from all of them, with the box in a list of its own or not."""
    files = dict(
        video={'walk.json': mmpose_video(VALUES, box=box)},
        demo={'results_walk.json': mmpose_demo(VALUES)},
        own={'walk.json': mmpose_demo(VALUES, 0, frame_offset=0, width=1280, height=720)},
        images={f'walk/{t}.json': instances(frame, box) for t, frame in enumerate(VALUES)})[form]
    ann, = read(write(tmp_path, files))
    check(ann)
    assert ann['frame_dir'] == 'walk'
    assert 'frame_inds' not in ann
    assert (ann['img_shape'] == (720, 1280)) == (form == 'own')


@pytest.mark.parametrize('joints', [133, 136])
def test_mmpose_json_larger_skeletons_give_their_coco_joints(tmp_path, joints):
    """COCO-WholeBody and Halpe-136 begin with COCO-17."""
    values = people(frames=12, persons=2, joints=joints)
    ann, = read(write(tmp_path, {'walk.json': mmpose_video(values)}))
    check(ann, values[..., :17, :])
    with pytest.raises(AnnotationError, match=f'found {joints} joints, expected those of coco17'):
        read(tmp_path, layout='coco17')


def test_mmpose_json_frame_ids_give_frame_numbers(tmp_path):
    data = mmpose_video(VALUES, 5)
    np.random.default_rng(0).shuffle(data)
    ann, = read(write(tmp_path / 'a', {'walk.json': data}))
    assert ann['frame_inds'].tolist() == list(range(5, 17))
    check(ann)
    demo = mmpose_demo(VALUES)
    demo['instance_info'][3]['instances'] = []
    del demo['instance_info'][7]
    ann, = read(write(tmp_path / 'b', {'results_walk.json': demo}), max_gap=0)
    assert ann['frame_inds'].tolist() == [*range(7), *range(8, 12)]
    assert np.flatnonzero(~ann['keypoint_score'][0].any(-1)).tolist() == [3]


def test_mmpose_json_folder_holds_images_or_videos(tmp_path):
    """The first file of a folder that says anything decides what the others are."""
    images = {f'{t:03}.json': instances(frame) if t else [] for t, frame in enumerate(VALUES)}
    files = {f'{folder}/{name}': data for folder in ('a', 'b/c') for name, data in images.items()}
    files.update({'v/walk.json': mmpose_video(VALUES), 'v/results_run.json': mmpose_demo(VALUES)})
    root = write(tmp_path / 'out', files)
    expected = [('a', 12), ('b/c', 12), ('v/run', 12), ('v/walk', 12)]
    assert sorted((a['frame_dir'], a['total_frames']) for a in read(root)) == expected
    with zipfile.ZipFile(tmp_path / 'packed.zip', 'w') as archive:
        for name, data in files.items():
            archive.writestr(name, json.dumps(data))
    assert sorted((a['frame_dir'], a['total_frames']) for a in read(
        tmp_path / 'packed.zip')) == expected
    assert [a['frame_dir'] for a in read(root / 'a')] == ['a']
    assert [a['frame_dir'] for a in read(root / 'v/results_run.json')] == ['run']
    ann, = read(root / 'a/005.json')
    assert ann['frame_dir'] == '005'
    assert ann['keypoint'].shape == (2, 1, 17, 2)
    write(root, {'a/005.json': mmpose_video(VALUES)})  # does not belong there
    with pytest.raises(AnnotationError, match='005.json: keypoints'):
        read(root / 'a')


def test_mmpose_json_skips_whole_image_pose_of_empty_frame(tmp_path):
    data = mmpose_video(VALUES)
    whole = dict(box=lambda b: [[0, 0, 640, 480]], score=1.)
    data[4]['instances'] = instances(VALUES[4, :1], **whole)
    ann, = read(write(tmp_path / 'a', {'walk.json': data}), max_gap=0)
    assert np.flatnonzero(~ann['keypoint_score'].any((0, 2))).tolist() == [4]
    assert len(ann['keypoint']) == 2
    assert ann['total_frames'] == 12
    # A sure detection that is not the image, or not alone, is one.
    data[4]['instances'] = instances(VALUES[4], **whole)
    data[5]['instances'] = instances(VALUES[5], score=1.)
    check(read(write(tmp_path / 'b', {'walk.json': data}))[0])
    # Without a detector every frame is a whole image.
    data = mmpose_video(VALUES[:, :1], **whole)
    check(read(write(tmp_path / 'c', {'walk.json': data}))[0], VALUES[:, :1])


def test_mmpose_json_needs_no_boxes(tmp_path):
    """As of models that need none."""
    data = mmpose_video(VALUES)
    for frame in data:
        for person in frame['instances']:
            del person['bbox'], person['bbox_score']
    check(read(write(tmp_path, {'walk.json': data}))[0])


@pytest.mark.parametrize(('joints', 'layout'), [(26, None), (17, 'h36m17'), (25, 'body25')])
def test_mmpose_json_layout_must_fit_joints(tmp_path, joints, layout):
    values = people(frames=12, joints=joints)
    write(tmp_path, {'walk.json': mmpose_video(values)})
    expected, _ = convert(values, None, layout or 'halpe26')
    check(read(tmp_path, layout=layout)[0], expected)
    with pytest.raises(AnnotationError, match=f'keypoints: found {joints} joints.*smpl24'):
        read(tmp_path, layout='smpl24')


def test_mmpose_json_unknown_joints_ask_for_layout(tmp_path):
    write(tmp_path, {'walk.json': mmpose_video(people(joints=21))})
    with pytest.raises(AnnotationError, match='keypoints: found 21 joints.*--map'):
        read(tmp_path)
    with pytest.raises(ValueError, match='unknown joint layout'):
        MMPoseJSON(tmp_path, layout='hand')


def video(change, at=None):
    data = mmpose_video(VALUES)
    (data[2] if at is None else data[2]['instances'][at]).update(change)
    return data


def demo(first=1, **meta_info):
    return mmpose_demo(VALUES, first, **meta_info)


@pytest.mark.parametrize(('data', 'field'), [
    (b'', 'file'), (b'[{"frame_id": 0,', 'file'), (b'7', 'frames'), (b'{}', 'instances'),
    (dict(meta_info={}), 'frames'), (dict(meta_info={}, instance_info=[]), 'frames'),
    (dict(meta_info={}, instance_info=[1]), 'frames'),
    (video(dict(frame_id=None)), 'frame_id'), (video(dict(frame_id=True)), 'frame_id'),
    (video(dict(frame_id=3)), 'frame_id'), (video(dict(frame_id=-1)), 'frame_id'),
    (video(dict(frame_id=2.)), 'frame_id'), (video(dict(frame_id=10**400)), 'frame_id'),
    (video(dict(instances=7)), 'instances'), (video(dict(instances=[1])), 'instances'),
    (video(dict(keypoints=None), 0), 'keypoints'),
    (video(dict(keypoints=[[1, 2, 3]] * 17), 0), 'keypoints'),
    (video(dict(keypoints=[[1, 2]] * 16), 0), 'keypoints'),
    (video(dict(keypoints=[['1', 2]] * 17), 0), 'keypoints'),
    (video(dict(keypoints=[[float('inf'), 2]] * 17), 0), 'keypoints'),
    (video(dict(keypoint_scores=[1] * 16), 1), 'keypoint_scores'),
    (video(dict(keypoint_scores=[99] * 17), 1), 'score'),
    (video(dict(bbox=[1, 2, 3]), 1), 'bbox'), (video(dict(bbox='all'), 1), 'bbox'),
    (video(dict(bbox_score='1'), 1), 'bbox_score'),
    (demo(0), 'frame_id'), (demo(frame_offset=-1), 'meta_info.frame_offset'),
    (demo(frame_offset='0'), 'meta_info.frame_offset'),
    (demo(width=640), 'meta_info.height'), (demo(width=640, height=0), 'meta_info.height'),
    (demo(width='640', height='480'), 'meta_info.height')])
def test_mmpose_json_bad_file_is_skipped_and_named(tmp_path, data, field):
    write(tmp_path, {'bad/walk.json': data, 'good/walk.json': mmpose_video(VALUES)})
    source = MMPoseJSON(tmp_path)
    assert [a['frame_dir'] for a, _ in source] == ['good/walk']
    problem, = source.problems
    assert f'walk.json: {field}' in str(problem)


# ----------------------------------------------------------- versions 0.x, dumps, IDs, image names
def old_instances(frame, ids=True):
    """The persons of a frame as MMPose 0.x has them."""
    return [dict(bbox=[*pose[:, :2].min(0).tolist(), *pose[:, :2].max(0).tolist(), .98],
                 keypoints=pose.tolist(), area=100., **({'track_id': m} if ids else {}))
            for m, pose in enumerate(frame)]


def test_mmpose_of_0x_is_read_from_lists_of_every_depth(tmp_path):
    """As ``pose_results`` of the demos: a list for each frame, with IDs, and boxes of 5."""
    video = [old_instances(frame) for frame in VALUES]
    for name, files in dict(
            lists={'walk.json': video},
            frames={'walk.json': [dict(frame_id=t, pose_results=item)
                                  for t, item in enumerate(video)]},
            images={f'walk_{t:03}.json': item for t, item in enumerate(video)}).items():
        ann, = read(write(tmp_path / name, files))
        check(ann)
        assert ann['frame_dir'] == 'walk'
        assert sorted(ann['track_id'].tolist()) == [0, 1]
        low, high = VALUES[..., :2].min(2), VALUES[..., :2].max(2)
        order = np.argsort(ann['track_id'])
        np.testing.assert_allclose(ann['box'][order], np.concatenate(
            [low, high], -1).transpose(1, 0, 2), atol=.3)


def test_mmpose_test_results_of_0x_are_frames_of_their_images(tmp_path):
    """Batches over the persons of all images; a folder is a video."""
    flat = VALUES.reshape(-1, 17, 3)
    paths = [f'/data/{video}/{t:04}.jpg' for video in ('cam1', 'cam2') for t in range(6)
             for _ in range(2)]
    batches = [dict(preds=flat[i:i + 5].tolist(), image_paths=paths[i:i + 5],
                    boxes=[[*pose[:, :2].mean(0).tolist(), .5, 1.25, 9, .9]
                           for pose in flat[i:i + 5]], bbox_ids=[0] * 5, output_heatmap=None)
               for i in range(0, 24, 5)]
    anns = read(write(tmp_path, {'result_keypoints.json': batches}))
    assert [ann['frame_dir'] for ann in anns] == ['result_keypoints/cam1', 'result_keypoints/cam2']
    for ann, values in zip(anns, (VALUES[:6], VALUES[6:]), strict=True):
        check(ann, values)
        box = ann['box'].astype(float)
        np.testing.assert_allclose(box[..., 2:] - box[..., :2],
                                   np.broadcast_to([80, 200], (2, 6, 2)), atol=.5)


def test_mmpose_dump_of_a_test_is_read_from_a_pickle(tmp_path):
    """``--dump``: arrays of every image."""
    dump_of = [dict(img_path=f'/data/walk/{t}.jpg', img_shape=(256, 192), pred_instances=dict(
        keypoints=frame[..., :2], keypoint_scores=frame[..., 2], bboxes=np.tile(
            [1., 2, 300, 400], (2, 1)), bbox_scores=np.full(2, .7))) for t, frame in
        enumerate(VALUES)]
    (tmp_path / 'walk.pkl').write_bytes(pickle.dumps(dump_of))
    ann, = read(tmp_path)
    check(ann)
    assert ann['box'][1, 3].tolist() == [1, 2, 300, 400]
    (tmp_path / 'walk.pkl').write_bytes(pickle.dumps([test_mmpose_json_needs_no_boxes]))
    source = MMPoseJSON(tmp_path)
    assert not list(source)
    assert 'walk.pkl: file' in str(source.problems[0])


def test_mmpose_results_of_a_call_are_frames(tmp_path):
    """``{'visualization': [], 'predictions': [[...]]}`` of every frame."""
    data = [dict(visualization=[], predictions=[instances(frame)]) for frame in VALUES]
    check(read(write(tmp_path, {'walk.json': data}))[0])


def test_mmpose_track_ids_boxes_and_frame_rate_are_kept(tmp_path):
    data = mmpose_demo(VALUES, fps=25.)
    for frame in data['instance_info']:
        for m, instance in enumerate(frame['instances']):
            instance['track_id'] = 8 - m
    ann, = read(write(tmp_path, {'results_walk.json': data}))
    check(ann)
    assert ann['track_id'][np.argsort(ann['keypoint'][:, 0, 0, 0])].tolist() == [8, 7]
    assert ann['fps'] == 25
    data['instance_info'] = [dict(item, frame_id=6 * item['frame_id'] - 5)
                             for item in data['instance_info']]
    ann, = read(write(tmp_path, {'results_walk.json': data}))  # every sixth frame
    check(ann)
    assert ann['fps'] == pytest.approx(25 / 6)


def test_mmpose_meta_info_says_the_layout(tmp_path):
    """By the data set, or by names of joints."""
    for name, layout in (('h36m', 'h36m17'), ('posetrack18', 'posetrack17'), ('mpii', 'mpii16')):
        values = convert(VALUES[..., :2], VALUES[..., 2], 'coco17', layout)
        values = np.concatenate([values[0], values[1][..., None]], -1)
        data = mmpose_demo(values)
        data['meta_info']['dataset_name'] = name
        ann, = read(write(tmp_path / name, {'results_walk.json': data}), tracks=True)[:1]
        assert ann['keypoint'][0, :, 5:].any(-1).all()
        persons = VALUES[..., 5:, :2].transpose(1, 0, 2, 3).astype('f2')
        assert any((ann['keypoint'][0, :, 5:] == person).all() for person in persons)
    values = people(frames=12, joints=21)
    values[:, :, 4:21] = VALUES
    data = mmpose_demo(values)
    names = [f'hand{i}' for i in range(4)] + list(LAYOUTS['coco17'].joints)
    data['meta_info'].update(dataset_name='mine',
                             keypoint_id2name={str(i): name for i, name in enumerate(names)})
    check(read(write(tmp_path / 'names', {'results_walk.json': data}))[0])


def test_failing_images_of_the_demo_are_one_video(real_data):
    ann, = read(real_data('../failing/data/15_mmpose_images_demo'))
    assert ann['frame_dir'] == '15_mmpose_images_demo'
    assert ann['keypoint'].shape == (1, 6, 17, 2)
    np.testing.assert_array_equal(ann['keypoint'][0, :, 0, 0], 200 + 3 * np.arange(6))


@pytest.mark.parametrize('values', [
    [dict(preds=1, image_paths=['a'])], [dict(preds=[[1]], image_paths=['a', 'b'])],
    [dict(preds=[[1]], boxes=[[1, 2, 'a', 4]], image_paths=['a'])],
    [dict(pred_instances=dict(keypoints=3), img_path='a')], [[1]], [[[1]]], [5, []],
    [dict(pred_instances=dict(keypoints=[[1, 2]], bboxes=[]), img_path='a')],
    [dict(img_path='a')], [dict(img_path=3, instances=[])],
    [dict(img_path='/a/0.jpg', instances=[]), dict(img_path='b/0.jpg', instances=[])],
    [dict(frame_id=0, instances=[dict(keypoints=[[1, 2, 3]] * 17, track_id='x')])],
    [dict(frame_id=0, instances=[dict(keypoints=[[1, 2, 3]] * 17, keypoint_scores=[1] * 17)])],
    [dict(frame_id=0, instances=[dict(keypoints=[[1, 2]] * 17)])]])
def test_mmpose_other_values_are_named(tmp_path, values):
    write(tmp_path, {'walk.json': values})
    source = MMPoseJSON(tmp_path)
    assert not list(source)
    problem, = source.problems
    assert 'walk.json: ' in str(problem)
    assert 'fault of the reader' not in str(problem)


# ---------------------------------------------------------------------------------------- 3D poses
def read_3d(root, **kwargs):
    return [ann for ann, _ in MMPose3D(root, strict=True, **kwargs)]


def test_mmpose_3d_poses_are_seen_as_they_stand(tmp_path):
    """Head up, the left hand of a person who faces the camera on the right of the image."""
    write(tmp_path, {'results_walk.json': mmpose_demo_3d(standing_3d(persons=2), fps=50.)})
    cameras = CameraRange(yaw=(0, 0), distance=(4, 4), pitch=(0, 0), roll=(0, 0))
    source = MMPose3D(tmp_path, strict=True, cameras=cameras)
    (ann, _), = source
    assert ann['frame_dir'] == 'walk_v0'
    assert ann['keypoint'].shape == (2, 6, 17, 2)
    assert ann['fps'] == 50
    nose, left, right, ankle = (ann['keypoint'][:, :, i].astype(float) for i in (0, 9, 10, 15))
    assert (nose[..., 1] < ankle[..., 1]).all()
    assert (left[..., 0] > right[..., 0]).all()
    assert (np.diff(nose[..., 0]) > 0).all()           # walks to the right of the image
    assert not [note for note in source.notes if 'backward' in note or 'heads' in note]
    source = MMPose3D(tmp_path, strict=True, cameras=cameras, left_handed=False)
    assert len(list(source)) == 1
    assert any('backward' in note for note in source.notes)


def test_mmpose_3d_joints_are_kept_in_meters(tmp_path):
    joints = standing_3d(persons=2)
    data = mmpose_demo_3d(joints)
    del data['instance_info'][2]['instances'][0]       # the first person is away in frame 2
    data['instance_info'][4]['instances'][1]['keypoint_scores'][3] = 0
    ann, = read_3d(write(tmp_path / 'a', {'results_walk.json': data}), keep_3d=True)
    assert ann['keypoint'].shape == (2, 6, 17, 3)
    present = ann['keypoint_score'].any(-1)
    assert present.tolist() == [[True, True, False, True, True, True], [True] * 6]
    assert ann['keypoint_score'][1, :, 16].tolist() == [1, 1, 1, 1, 0, 1]  # right ankle
    height = joints[0, 0, :, 2].max() - joints[0, 0, :, 2].min()
    low, high = (ann['keypoint'][1, 0, :, 1][ann['keypoint_score'][1, 0] > 0].min(),
                 ann['keypoint'][1, 0, :, 1].max())
    assert high - low == pytest.approx(height, abs=.1)


def test_mmpose_3d_without_ids_notes_the_order_of_persons(tmp_path):
    data = mmpose_demo_3d(standing_3d(persons=2))
    for frame in data['instance_info']:
        for instance in frame['instances']:
            del instance['track_id']
    data['instance_info'] = [dict(item, frame_id=10 * item['frame_id'])
                             for item in data['instance_info']]
    source = MMPose3D(write(tmp_path, {'results_walk.json': data}), strict=True)
    (ann, _), = source
    assert ann['keypoint'].shape == (2, 6, 17, 2)
    assert 'frame_inds' not in ann
    assert any('order in the file' in note for note in source.notes)
    assert any('steps of 10' in note for note in source.notes)


def test_mmpose_3d_poses_of_0x_are_read(tmp_path):
    """Beside the 2D ones, with a score or without."""
    joints = standing_3d(persons=2)
    kept = read_3d(write(tmp_path / 'new', {'results_walk.json': mmpose_demo_3d(joints)}),
                   keep_3d=True)[0]
    scored = np.concatenate([joints, np.full((*joints.shape[:3], 1), .8)], -1)
    for values in (joints, scored):
        data = [[dict(person, keypoints_3d=pose.tolist()) for person, pose in zip(
            old_instances(VALUES[0]), frame, strict=True)] for frame in values]
        root = write(tmp_path / f'old{values.shape[-1]}', {'walk.json': data})
        assert [match.source for match in recognize(root)] == ['mmpose_3d']
        ann, = read_3d(root, keep_3d=True)
        np.testing.assert_array_equal(ann['keypoint'], kept['keypoint'])
        assert ann['keypoint_score'].any(-1).all()


def test_mmpose_2d_and_3d_files_name_the_other_reader(tmp_path):
    flat = write(tmp_path / 'a', {'walk.json': mmpose_video(VALUES)})
    deep = write(tmp_path / 'b', {'results_walk.json': mmpose_demo_3d(standing_3d())})
    for reader, path, other in ((MMPose3D, flat, 'mmpose'), (MMPoseJSON, deep, 'mmpose_3d')):
        source = reader(path)
        assert not list(source)
        assert f'source {other} reads' in str(source.problems[0])
    assert [match.source for match in recognize(flat)] == ['mmpose']
    assert [match.source for match in recognize(deep)] == ['mmpose_3d']


def test_mmpose_3d_order_of_joints_is_checked(tmp_path):
    data = mmpose_demo_3d(standing_3d(layout='coco17'))
    data['meta_info']['dataset_name'] = 'mine'
    source = MMPose3D(write(tmp_path, {'results_walk.json': data}))
    assert not list(source)
    assert '--layout coco17' in str(source.problems[0])
    ann, = read_3d(tmp_path, layout='coco17')
    assert ann['keypoint_score'].all()


def test_mmpose_frame_with_null_in_place_of_instances_has_nobody(tmp_path):
    source = MMPoseJSON(write(tmp_path, {'walk.json': video(dict(instances=None))}), max_gap=0)
    (ann, _), = source
    expected = VALUES.transpose(1, 0, 2, 3)[..., :2].astype(np.float16)
    expected[:, 2] = 0
    order = np.argsort(ann['keypoint'][:, 0, 5, 0])
    np.testing.assert_array_equal(ann['keypoint'][order],
                                  expected[np.argsort(expected[:, 0, 5, 0])])
    assert 'frames without instances have nobody' in source.notes
