"""COCO annotations and results, COCO-WholeBody, PoseTrack: videos, frames, joints, tracks."""

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.data_sets.posetrack import PoseTrack
from mofm.sources.pose_programs.coco import COCO
from tests.test_sources.native_files import write
from tests.test_sources.native_files.estimators import (
    NAMES,
    SIZE,
    coco,
    coco_images,
    coco_poses,
    people_in,
    posetrack17,
    posetrack18,
    wholebody,
)
from tests.test_sources.native_files.pose_detectors import dump, people


def read(tmp_path, data, reader=COCO, **kwargs):
    write(tmp_path, {'walk.json': dump(data)} if not isinstance(data, dict) or 'images' in data
          or 'annolist' in data else {file: dump(content) for file, content in data.items()})
    source = reader(tmp_path, strict=True, **kwargs)
    return [ann for ann, _ in source], source.notes


def by_place(anns):
    return sorted(anns, key=lambda ann: ann['keypoint'][0, 0, 5, 0])


def test_coco_annotations_equal_the_file(tmp_path):
    values = people()
    data = coco(values)
    data['annotations'][3]['keypoints'][:3] = 0, 0, 0  # not labeled: frame 1, person 1, nose
    data['annotations'][3]['keypoints'][5] = 1  # hidden, but labeled
    anns, _ = read(tmp_path, data, tracks=True)
    assert [(a['frame_dir'], a['track_id'], a['img_shape']) for a in anns] == [
        ('walk/5', 5, SIZE), ('walk/6', 6, SIZE)]
    for m, ann in enumerate(anns):
        expected = values[:, m, :, :2].astype(np.float16)
        expected[1, 0] *= m == 0
        np.testing.assert_array_equal(ann['keypoint'][0], expected)
        score = np.ones((6, 17))
        score[1, 0] = m == 0
        np.testing.assert_array_equal(ann['keypoint_score'][0], score)
        low, high = values[:, m, :, :2].min(1), values[:, m, :, :2].max(1)
        np.testing.assert_allclose(ann['box'][0], np.concatenate([low, high], 1), atol=.2)


def test_coco_images_of_folders_and_numbered_names_are_videos(tmp_path):
    values = people()
    names = ['a/7.png', 'a/8.png', 'b/cam1_001.png', 'b/cam1_003.png', 'b/cam2_001.png',
             'b/cam2_002.png']
    data = dict(coco(values), images=coco_images(6, name=names.__getitem__))
    anns, _ = read(tmp_path, data, max_gap=0)
    assert [(a['frame_dir'], a['total_frames']) for a in anns] == [
        ('walk/a', 2), ('walk/b/cam1', 2), ('walk/b/cam2', 2)]
    assert anns[0]['frame_inds'].tolist() == [7, 8]
    np.testing.assert_array_equal(np.sort(anns[2]['keypoint'][:, :, 5, 0], 0),
                                  values[4:, :, 5, 0].T.astype(np.float16))


@pytest.mark.parametrize('names', [
    [f'walk_mp4-{i}_jpg.rf.{"%032x" % (7919**9 * (i + 1))}.jpg' for i in (3, 4, 5, 6, 7, 9)],
    [f'{word}{i}.jpg' for i, word in zip((3, 4, 5, 6, 7, 9), 'abcdef', strict=True)]])
def test_coco_images_with_a_hash_or_other_names_each_are_one_video(tmp_path, names):
    """As Roboflow exports them; or a word of its own for every image."""
    data = dict(coco(people()), images=coco_images(6, name=names.__getitem__))
    anns, _ = read(tmp_path, data, max_gap=0)
    assert [ann['total_frames'] for ann in anns] == [6]
    assert names[0][0] == 'a' or anns[0]['frame_inds'].tolist() == [3, 4, 5, 6, 7, 9]


def test_coco_ids_of_images_may_be_texts_of_their_numbers(tmp_path):
    data = coco(people())
    plain, _ = read(tmp_path, data, tracks=True)
    for pose in data['annotations']:
        pose['image_id'] = str(pose['image_id'])
    anns, _ = read(tmp_path, data, tracks=True)
    assert [ann['frame_dir'] for ann in anns] == ['walk/5', 'walk/6']
    for ann, other in zip(anns, plain, strict=True):
        np.testing.assert_array_equal(ann['keypoint'], other['keypoint'])


def test_coco_absolute_paths_of_images_name_videos(tmp_path):
    names = ['/data/one/7.png', '/data/one/8.png', 'C:\\clips\\two\\1.png',
             'C:\\clips\\two\\2.png', '../three/5.png', '../three/6.png']
    anns, _ = read(tmp_path, dict(coco(people()), images=coco_images(6, name=names.__getitem__)))
    assert [a['frame_dir'] for a in anns] == [
        'walk/data/one', 'walk/clips/two', 'walk/three']


def test_coco_video_ids_and_frame_ids_are_kept(tmp_path):
    values = people(frames=4)
    images = [dict(id=40 - t, file_name='same.jpg', video_id=t % 2 + 1, frame_id=t // 2)
              for t in range(4)]
    poses = coco_poses(values)
    for pose in poses:
        pose['image_id'] = 40 - pose['image_id']
    data = dict(coco(values), images=images, annotations=poses,
                videos=[dict(id=1, name='left.mp4'), dict(id=2, name='right.mp4')])
    anns, _ = read(tmp_path, data)
    assert [a['frame_dir'] for a in anns] == ['walk/left', 'walk/right']
    for video, ann in enumerate(anns):
        assert 'frame_inds' not in ann
        np.testing.assert_array_equal(np.sort(ann['keypoint'][:, :, 6, 0], 0),
                                      values[video::2, :, 6, 0].T.astype(np.float16))


def test_coco_results_take_names_and_sizes_from_annotations(tmp_path):
    values = people()
    poses = coco_poses(values, visible=False, tracked=False)
    images = coco_images(6, name=lambda t: f'clip{t // 3}/{t:03d}.jpg')
    files = {'results.json': poses, 'gt/val.json': dict(coco(values), images=images)}
    anns, _ = read(tmp_path, files, annotations=tmp_path / 'gt' / 'val.json')
    assert [(a['frame_dir'], a['img_shape']) for a in anns] == [
        ('results/clip0', SIZE), ('results/clip1', SIZE)]
    score = np.sort(values[:3, :, 5, 2].T.astype(np.float16), 0)
    np.testing.assert_array_equal(np.sort(anns[0]['keypoint_score'][:, :, 5], 0), score)
    (tmp_path / 'gt' / 'val.json').unlink()
    anns, notes = read(tmp_path, files | {'gt/val.json': poses})
    assert [a['total_frames'] for a in anns] == [6, 6]
    assert any('image IDs are taken for the frames of one video' in note for note in notes)


@pytest.mark.parametrize('visible', [True, False])
def test_wholebody_parts_are_joined(tmp_path, visible):
    values = people_in('wholebody133', 3, 1)
    values[..., 23:, 0] += np.arange(110)  # face and hands
    content = dump(wholebody(values, visible))
    source = COCO(write(tmp_path, {'walk.json': content}), to_layout='wholebody133')
    video, = source.videos('walk.json', iter([('walk.json', content)]))
    np.testing.assert_array_equal(video.keypoint, values[:, 0, :, :2])
    score = np.ones((3, 133)) if visible else values[:, 0, :, 2]
    np.testing.assert_array_equal(video.score, score)
    (ann, ), _ = read(tmp_path, wholebody(values, visible))
    np.testing.assert_array_equal(ann['keypoint'][0], values[:, 0, :17, :2].astype(np.float16))


def test_coco_names_of_joints_tell_their_order(tmp_path):
    values = people()
    order = np.random.default_rng(0).permutation(17)
    data = coco(values[..., order, :], [NAMES[i] for i in order])
    (ann, ), _ = read(tmp_path, data, max_person=1)
    m = int(np.argmin(np.abs(values[0, :, 0, 0] - ann['keypoint'][0, 0, 0, 0])))
    np.testing.assert_array_equal(ann['keypoint'][0], values[:, m, :, :2].astype(np.float16))


def test_coco_names_of_crowdpose_give_the_nose(tmp_path):
    values = people_in('crowdpose14', persons=1)
    (ann, ), _ = read(tmp_path, coco(values, [*NAMES[5:], 'top_head', 'neck']))
    np.testing.assert_allclose(ann['keypoint'][0, :, 0], values[:, 0, 12:, :2].mean(1), atol=.2)
    assert (ann['keypoint_score'][0, :, 0] == 1).all()
    assert (ann['keypoint_score'][0, :, 1:5] == 0).all()


@pytest.mark.parametrize('ids', [[None] * 12, [-1] * 12, [0] * 12])
def test_coco_poses_without_tracking_are_tracked(tmp_path, ids):
    """All persons called 0 are not one person."""
    values = people()
    data = coco(values)
    for pose, track in zip(data['annotations'], ids, strict=True):
        pose['track_id'] = track
    (ann, ), _ = read(tmp_path, data)
    assert (ann['keypoint_score'] == 1).all()
    assert ann['keypoint'].shape == (2, 6, 17, 2)


def test_coco_other_categories_are_passed_over_with_a_note(tmp_path):
    values = people(persons=3)
    data = coco(values)
    data['categories'].append(dict(id=2, name='dog', keypoints=['nose']))
    for pose in data['annotations'][::3]:
        pose['category_id'] = 2
    data['annotations'].append(dict(image_id=0, category_id=3, bbox=[1, 2, 3, 4]))
    (ann, ), notes = read(tmp_path, data)
    assert ann['keypoint'].shape == (2, 6, 17, 2)
    assert any('of other categories than person' in note for note in notes)


def test_coco_nested_keypoints_and_visibility_of_zero_only(tmp_path):
    values = people(persons=1)
    poses = coco_poses(values, visible=False, tracked=False)
    for pose in poses:
        joints = np.reshape(pose['keypoints'], (17, 3)) * [1, 1, 0]
        pose['keypoints'] = joints.tolist()
    (ann, ), notes = read(tmp_path, poses)
    np.testing.assert_array_equal(ann['keypoint'][0], values[:, 0, :, :2].astype(np.float16))
    assert (ann['keypoint_score'] == 1).all()
    assert any('all marked as not labeled' in note for note in notes)


@pytest.mark.parametrize(('change', 'words'), [
    (lambda d: d['images'].pop(), 'image_id: found 5 in 2 poses, expected the id of an image'),
    (lambda d: d['annotations'][4]['keypoints'].pop(), 'keypoints: found .*equally many'),
    (lambda d: d['images'][1].update(id=0), 'an id twice'),
    (lambda d: d['annotations'][0].update(track_id=.5), 'track_id: found .*whole numbers'),
    (lambda d: d.update(annotations={}), 'annotations: found .*a list of dicts')])
def test_coco_bad_field_is_named(tmp_path, change, words):
    data = coco(people())
    change(data)
    with pytest.raises(AnnotationError, match=f'walk.json.*{words}'):
        read(tmp_path, data)


# ------------------------------------------------------------------------------------- PoseTrack
# Joints of the file whose mean is each of Human3.6M, as MotionBERT converts PoseTrack 2018.
H36M_18 = [[11, 12], [12], [14], [16], [11], [13], [15], [11, 12, 1, 1], [1], [0], [2], [5], [7],
           [9], [6], [8], [10]]
H36M_17 = [[2, 3], [2], [1], [0], [3], [4], [5], [2, 3, 12, 12], [12], [13], [14], [9], [10], [11],
           [8], [7], [6]]


@pytest.mark.parametrize(('layout', 'write_file', 'means', 'reader', 'first'), [
    ('posetrack17', posetrack18, H36M_18, PoseTrack, 5),
    ('posetrack17', posetrack18, H36M_18, COCO, 5),
    ('posetrack15', posetrack17, H36M_17, PoseTrack, 2)])
def test_posetrack_joints_and_tracks_equal_the_file(tmp_path, layout, write_file, means, reader,
                                                    first):
    values = people_in(layout)
    anns, _ = read(tmp_path, write_file(values), reader, to_layout='h36m17', tracks=True)
    assert [a['track_id'] for a in anns] == [first, first + 1]
    for m, ann in enumerate(anns):
        expected = np.stack([values[:, m, joints, :2].mean(1) for joints in means], 1)
        np.testing.assert_allclose(ann['keypoint'][0], expected, atol=.2)
        assert (ann['keypoint_score'] == 1).all()


def test_posetrack_unlabeled_images_and_points_are_missing(tmp_path):
    values = people_in('posetrack15', persons=1)
    data = posetrack17(values)
    for t in (0, 5):
        data['annolist'][t].update(is_labeled=[0], annorect=[])
    points = data['annolist'][2]['annorect'][0]['annopoints'][0]['point']
    del points[0]  # right ankle
    (ann, ), _ = read(tmp_path, data, PoseTrack, max_gap=0)
    assert ann['frame_inds'].tolist() == [2, 3, 4, 5]
    assert ann['keypoint_score'][0, :, 16].tolist() == [1, 0, 1, 1]
    assert (ann['keypoint_score'][0, :, :1] == 1).all()
