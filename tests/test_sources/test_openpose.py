"""OpenPose: a file per frame, several videos in a folder, identities."""

import json
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.pose_programs.openpose import OpenPose
from mofm.structures import convert
from tests.test_sources.native_files import write
from tests.test_sources.native_files.pose_detectors import dump, openpose, people

# Which joint of the file becomes each of COCO-17, as STG-NF and OpenPose number them.
BODY_25 = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]
COCO_18 = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]


def read(root, **kwargs):
    return [ann for ann, _ in OpenPose(root, strict=True, **kwargs)]


@pytest.mark.parametrize(('joints', 'index'), [(25, BODY_25), (18, COCO_18)])
def test_openpose_joints_and_frames_equal_the_files(tmp_path, joints, index):
    values = people(frames=12, persons=2, joints=joints)
    values[4, 1, 6] = 0  # not found
    anns = read(write(tmp_path, openpose(values)), tracks=True)
    assert {a['clip'] for a in anns} == {'walk'}
    assert len(anns) == 2
    anns.sort(key=lambda a: a['keypoint'][0, 0, 0, 0])
    for m, ann in enumerate(anns):
        expected = values[:, m, index].astype(np.float16)
        np.testing.assert_array_equal(ann['keypoint'][0], expected[..., :2])
        np.testing.assert_array_equal(ann['keypoint_score'][0], expected[..., 2])
    assert (anns[1]['keypoint_score'][0] == 0).sum() == 1


def test_openpose_empty_and_absent_frames_are_filled(tmp_path):
    files = openpose(people(frames=8, persons=1, joints=25))
    files['walk_000000000003_keypoints.json'] = dump(dict(version=1.3, people=[]))
    del files['walk_000000000005_keypoints.json']
    ann, = read(write(tmp_path, files), max_gap=0)
    assert ann['frame_inds'].tolist() == [0, 1, 2, 3, 4, 6, 7]
    assert ann['keypoint_score'].any(-1).tolist() == [[True] * 3 + [False] + [True] * 3]
    ann, = read(tmp_path)
    assert ann['total_frames'] == 8
    assert ann['keypoint_score'].any(-1).all()
    for name in files:
        files[name] = dump(dict(people=[]))
    ann, = read(write(tmp_path, files))
    assert ann['keypoint'].shape == (0, 7, 17, 2)


@pytest.mark.parametrize('listed', [True, False])
def test_openpose_person_ids_become_tracks(tmp_path, listed):
    values = people(frames=6, persons=2, joints=25)
    values[3:] = values[3:, ::-1]
    files = openpose(values, person_id=lambda t, m: [m + 4] if listed else m + 4)
    anns = read(write(tmp_path, files), tracks=True)
    assert [a['track_id'] for a in anns] == [4, 5]
    np.testing.assert_array_equal(anns[0]['keypoint'][0], convert(
        values[:, 0, :, :2], None, 'body25')[0].astype(np.float16))
    files.update(openpose(values[:1], person_id=lambda t, m: [-1]))
    anns = read(write(tmp_path, files), tracks=True)  # one without: OKS for all
    assert sorted(np.abs(np.diff(a['keypoint'][0, :, 0, 0].astype(float))).max() < 10
                  for a in anns) == [True, True]


def test_openpose_groups_files_by_folder_and_name(tmp_path):
    values = people(frames=3, persons=1, joints=25)
    files = {f'{folder}{file}': content for folder, video in (
        ('', 'a'), ('', 'b_1'), ('c/', 'c'), ('d/e/', 'video'), ('f/', ''), ('', 'cam3-clip'))
        for file, content in openpose(values, video).items()}
    files = {name.replace('f/_', 'f/'): content for name, content in files.items()}
    files['c/frames.json'] = b'{}'
    files['single_keypoints.json'] = files['a_000000000000_keypoints.json']
    root = write(tmp_path / 'out', files)
    found = [(a['frame_dir'], a['total_frames']) for a in read(root)]
    assert found == [('a', 3), ('b_1', 3), ('c', 3), ('cam3-clip', 3), ('d/e/video', 3), ('f', 3),
                     ('single', 1)]
    assert [a['frame_dir'] for a in read(root / 'f')] == ['f']
    assert [a['frame_dir'] for a in read(root / 'c')] == ['c']
    assert [a['frame_dir'] for a in read(root / 'a_000000000002_keypoints.json')] == ['a']
    with zipfile.ZipFile(tmp_path / 'packed.zip', 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    packed = read(tmp_path / 'packed.zip')
    np.testing.assert_equal(packed, read(root))


def test_openpose_numbers_after_a_point_are_frames_of_two_cameras(tmp_path):
    """As Pose2Sim names them, in one folder; 01.0003 is no decimal."""
    values = people(frames=3, persons=1, joints=25)
    files = {f'cam{camera:02d}.{t:04d}.json': content for camera in (1, 2)
             for t, content in enumerate(openpose(values + camera).values())}
    anns = read(write(tmp_path, files))
    assert [(ann['frame_dir'], ann['total_frames']) for ann in anns] == [
        ('cam01', 3), ('cam02', 3)]
    for camera, ann in enumerate(anns, 1):
        np.testing.assert_array_equal(ann['keypoint'][0, :, 0],
                                      (values + camera)[:, 0, 0, :2].astype(np.float16))


def test_openpose_reads_one_file_at_a_time(tmp_path, monkeypatch):
    write(tmp_path, openpose(people(frames=4, joints=25)))
    source, order = OpenPose(tmp_path), []

    def record(method):
        inner = getattr(source, method)

        def call(*args):
            order.append(method)
            return inner(*args)

        monkeypatch.setattr(source, method, call)

    record('file_content')
    record('json')
    assert len(list(source)) == 1
    assert order == ['file_content', 'json'] * 4


def frame(**person):
    return dump(dict(people=[dict(dict(pose_keypoints_2d=[1.] * 75), **person)]))


@pytest.mark.parametrize(('content', 'field'), [
    (b'', 'file'), (b'{"people": [', 'file'), (b'[]', 'people'), (b'{}', 'people'),
    (b'{"people": 3}', 'people'), (b'{"people": [3]}', 'people'),
    (frame(pose_keypoints_2d=None), 'pose_keypoints_2d'),
    (frame(pose_keypoints_2d=[]), 'pose_keypoints_2d'),
    (frame(pose_keypoints_2d=[1.] * 74), 'pose_keypoints_2d'),
    (frame(pose_keypoints_2d=[1.] * 74 + ['1']), 'pose_keypoints_2d'),
    (frame(pose_keypoints_2d=[float('nan')] * 75), 'pose_keypoints_2d'),
    (frame(pose_keypoints_2d=[10**400] * 75), 'pose_keypoints_2d'),
    (frame(person_id='1'), 'person_id'), (frame(person_id=[1, 2]), 'person_id'),
    (frame(person_id=[1.5]), 'person_id'), (frame(person_id=[-2]), 'person_id'),
    (frame(person_id=[2**40]), 'person_id')])
def test_openpose_bad_frame_is_named(tmp_path, content, field):
    values = people(frames=3, joints=25)
    write(tmp_path, {**openpose(values), **openpose(values, 'good')})
    bad = 'walk_000000000001_keypoints.json'
    write(tmp_path, {bad: content})
    source = OpenPose(tmp_path)
    assert [a['frame_dir'] for a, _ in source] == ['good']
    problem, = source.problems
    assert f'{bad}: {field}' in str(problem)


def test_failing_files_of_rtmlib_are_one_video(real_data):
    """6 frames of 2 persons with the 26 joints of Halpe."""
    for path in ('05_pose2sim_rtmlib', '05_pose2sim_rtmlib/cam01_json'):
        anns = read(real_data(f'../failing/data/{path}'), tracks=True)
        assert {ann['clip'].split('/')[-1] for ann in anns} == {'cam01'}
        assert [ann['keypoint'].shape for ann in anns] == [(1, 6, 17, 2)] * 2
        assert sorted(ann['keypoint'][0, 1, 0].tolist() for ann in anns) == [[203, 200],
                                                                              [597, 200]]
        assert sorted(ann['keypoint'][0, 1, 16].tolist() for ann in anns) == [[183, 400],
                                                                               [577, 400]]


def test_failing_files_in_upper_case_are_one_video(real_data):
    ann, = read(real_data('../failing/data/09_uppercase_ext'))
    assert ann['frame_dir'] == 'walk'
    assert ann['keypoint'].shape == (2, 4, 17, 2)


@pytest.mark.parametrize('joints', [17, 26, 133, 136])
def test_openpose_files_of_other_programs_give_their_coco_joints(tmp_path, joints):
    values = people(frames=6, persons=1, joints=joints)
    files = {name.replace('_keypoints', ''): content
             for name, content in openpose(values, 'cam').items()}
    files['config.json'] = b'{"version": 1}'
    root = write(tmp_path / 'out', files)
    source = OpenPose(root)
    (ann, _), = source
    assert ann['frame_dir'] == 'cam'
    np.testing.assert_array_equal(ann['keypoint'][0], values[:, 0, :17, :2].astype('f2'))
    assert any(f'the {joints} joints' in note for note in source.notes)
    assert any('passed over: 1 .json' in note for note in source.notes)


def test_openpose_order_of_body_25b_is_never_read_as_body_25(tmp_path):
    values = people(frames=6, persons=2)
    other = convert(values[..., :2], values[..., 2], 'coco17', 'body25b')
    write(tmp_path, openpose(np.concatenate([other[0], other[1][..., None]], -1)))
    source = OpenPose(tmp_path)
    assert not list(source)
    assert '--layout body25b' in str(source.problems[0])
    anns = read(tmp_path, layout='body25b', tracks=True)
    found = np.concatenate([ann['keypoint'] for ann in anns])
    found = found[np.argsort(found[:, 0, 0, 0])]
    np.testing.assert_array_equal(found, values.transpose(1, 0, 2, 3)[..., :2].astype('f2'))


@pytest.mark.parametrize('scale', [3, 4])
def test_openpose_scaled_keypoints_need_the_size_of_the_image(tmp_path, scale):
    """``keypoint_scale`` 3 is 0 to 1, 4 is -1 to 1."""
    pixels = people(frames=6, persons=2, joints=25)
    values = pixels.copy()
    values[..., :2] /= 800, 400
    values[..., :2] = values[..., :2] * 2 - 1 if scale == 4 else values[..., :2]
    values[2, 0, 7] = 0
    write(tmp_path, openpose(values.round(6)))
    source = OpenPose(tmp_path)
    assert not list(source)
    assert '--img-shape HEIGHT WIDTH' in str(source.problems[0])
    ann, = read(tmp_path, img_shape=(400, 800))
    order = np.argsort(ann['keypoint'][:, 0, 0, 0])
    expected = convert(pixels[..., :2].transpose(1, 0, 2, 3), None, 'body25')[0]
    expected[0, 2, 9] = 0
    np.testing.assert_allclose(ann['keypoint'][order], expected, atol=.3)


def test_openpose_old_field_is_read(tmp_path):
    files = {name: content.replace(b'pose_keypoints_2d', b'pose_keypoints')
             for name, content in openpose(people(joints=18)).items()}
    ann, = read(write(tmp_path, files))
    assert ann['keypoint'].shape == (2, 6, 17, 2)


def test_openpose_folder_without_files_is_refused(tmp_path):
    (tmp_path / 'alphapose-results.json').write_text(json.dumps([]))
    with pytest.raises(AnnotationError, match='expected those of OpenPose'):
        OpenPose(tmp_path)
