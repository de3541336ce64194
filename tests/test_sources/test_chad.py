"""CHAD, PHEVA and PoseLift: forms of poses, boxes, labels, splits, ground truth."""

import pickle
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.datasets import TrackWindowDataset, read_frame_labels
from mofm.sources import CHAD, PHEVA, PoseLift
from tests.test_sources.native_files import SAMPLES, write
from tests.test_sources.native_files.chad import npy, poses, video

TOOL = Path(__file__).resolve().parents[2] / 'tools/data/prepare.py'
TRACKS = {1: [0, 1, 2, 4], 12: [3, 4]}


def chad(folder, content, labels=(0, 0, 1, 1, 0), name='1_066_1', **more):
    return write(folder, {f'annotations/{name}.pkl': content,
                          f'anomaly_labels/{name}.npy': npy(labels), **more})


@pytest.mark.parametrize('form', ['pair', 'flat', 'objects'])
def test_anomaly_videos_give_one_annotation_per_person(tmp_path, form):
    source = CHAD(chad(tmp_path, video(TRACKS, form), **{
        'splits/test_split_1.txt': b'1_066_1\r\n'}), strict=True)
    (first, splits), (second, _) = source
    expected = poses(TRACKS)
    assert splits == ('test', 'supervised_train')
    assert [(a['frame_dir'], a['clip'], a['track_id'], a['label']) for a in (first, second)] == [
        ('1_066_1/1', '1_066_1', 1, 1), ('1_066_1/12', '1_066_1', 12, 1)]
    assert first['frame_inds'].tolist() == [0, 1, 2, 4]
    assert first['frame_label'].tolist() == [0, 0, 1, 0]
    assert second['frame_label'].tolist() == [1, 0]
    assert first['img_shape'] == (1080, 1920)
    for ann, person in ((first, 1), (second, 12)):
        values = np.stack([expected[t][person][1] for t in TRACKS[person]])
        boxes = np.array([expected[t][person][0] for t in TRACKS[person]])
        np.testing.assert_allclose(ann['keypoint'][0], values[..., :2], atol=.26)
        np.testing.assert_allclose(ann['keypoint_score'][0], values[..., 2], atol=1e-3)
        corners = np.c_[boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]
        np.testing.assert_allclose(ann['box'][0], corners, atol=.5)


def test_boxes_around_their_center_are_found_by_the_joints(tmp_path):
    corner, center = (CHAD(chad(tmp_path / str(i), video(TRACKS, center=i)), strict=True)
                      for i in (False, True))
    np.testing.assert_equal([a['box'] for a, _ in corner], [a['box'] for a, _ in center])
    assert any('centers' in note for note in center.notes)
    assert not any('centers' in note for note in corner.notes)


def test_cameras_of_chad_have_their_sizes(tmp_path):
    chad(tmp_path, video(TRACKS), name='3_001_1')
    chad(tmp_path, video(TRACKS), name='4_001_1')
    shapes = {ann['clip']: ann['img_shape'] for ann, _ in CHAD(tmp_path, strict=True)}
    assert shapes == {'3_001_1': (1080, 1920), '4_001_1': (720, 1280)}
    ann, _ = next(iter(CHAD(tmp_path, img_shape=(480, 640))))
    assert ann['img_shape'] == (480, 640)


def test_video_of_one_frame_is_read(tmp_path):
    (ann, _), = CHAD(chad(tmp_path, video({1: [0]}), [[1]]), strict=True)
    assert ann['frame_label'].tolist() == [1]


def test_nan_is_a_missing_joint_and_no_lost_video(tmp_path):
    data = pickle.loads(video({1: [0, 1, 2]}))
    data[1][1][1][5] = np.nan
    data[2][1] = [np.full(4, np.nan), data[2][1][1]]
    data[0][1][0][2] = -5  # a negative width is no box
    (ann, _), = CHAD(chad(tmp_path, pickle.dumps(data)), strict=True)
    assert ann['keypoint_score'][0, 1, 5] == 0
    assert (ann['keypoint_score'][0] > 0).sum() == 3 * 17 - 1
    assert not ann['box'][0, [0, 2]].any()
    assert ann['box'][0, 1].any()


def test_keys_as_text_are_numbers(tmp_path):
    data = {f'{t:05}': {str(p): pose for p, pose in persons.items()}
            for t, persons in pickle.loads(video(TRACKS)).items()}
    data['00005'] = {}
    (first, _), (second, _) = CHAD(chad(tmp_path, pickle.dumps(data)), strict=True)
    assert first['frame_inds'].tolist() == [0, 1, 2, 4]
    assert second['track_id'] == 12


def test_lists_give_both_protocols_of_chad(tmp_path):
    for name in ('1_001_0', '2_002_1', '3_003_0'):
        chad(tmp_path, video(TRACKS), [0, 0, int(name[-1]), 0, 0], name)
    write(tmp_path, {
        'splits/train_split_1.txt': b'\xef\xbb\xbf1_001_0.mp4\n',
        'splits/test_split_1.txt': b'2_002_1.pkl\n9_999_1\n',
        'splits/train_split_2.txt': b'2_002_1\n', 'splits/test_split_2.txt': b'1_001_0'})
    source = CHAD(tmp_path, strict=True)
    found = {ann['clip']: (ann['label'], splits) for ann, splits in source}
    assert found['2_002_1'] == (1, ('test', 'supervised_train'))
    assert found['3_003_0'] == (0, ())
    assert found['1_001_0'][0] == 0
    assert sorted(found['1_001_0'][1]) == ['supervised_test', 'train']
    assert any("e.g. '9_999_1'" in note for note in source.notes)
    assert any('in no split' in note for note in source.notes)
    assert not any('.npy' in note or '.txt' in note for note in source.notes)
    assert read_frame_labels('chad', tmp_path)['2_002_1'].tolist() == [0, 0, 1, 0, 0]
    assert list(read_frame_labels('chad', tmp_path, split='supervised_test')) == ['1_001_0']


def test_folders_give_the_splits_of_poselift(tmp_path):
    files = {f'Train/1_{i}.pkl': video({1: [0, 1]}) for i in range(2)}
    for i in (2, 3, 4, 10, 11):
        files[f'Test/1_{i}.pkl'] = video({1: [0, 1]})
        files[f'GT/1_{i}.npy'] = npy([0, i % 2])
    source = PoseLift(write(tmp_path / 'Pickle_files', files), strict=True)
    found = {ann['clip']: (ann['label'], splits) for ann, splits in source}
    train, test = ('test', 'supervised_train'), ('test', 'supervised_test')
    assert found == {
        '1_0': (0, ('train', 'supervised_train')), '1_1': (0, ('train', 'supervised_train')),
        '1_2': (0, train), '1_3': (1, test), '1_4': (0, train), '1_10': (0, test),
        '1_11': (1, train)}
    assert 'frame_label' not in next(ann for ann, _ in source if ann['clip'] == '1_0')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert {a['clip']: (a['label'], s) for a, s in PoseLift(tmp_path / 'a.zip')} == found
    (ann, splits), = PoseLift(tmp_path / 'Pickle_files/Test/1_3.pkl', strict=True,
                              gt=tmp_path / 'Pickle_files/GT')
    assert (ann['label'], splits[0]) == (1, 'test')


@pytest.mark.parametrize('names', [
    ('train.txt', 'test.txt'), ('Train_Split_1.txt', 'Test_Split_1.txt'),
    ('training.txt', 'testing.txt')])
def test_lists_of_one_protocol_give_the_other(tmp_path, names):
    files = {f'{i}_{i}.pkl': video({1: [0, 1]}) for i in range(1, 4)}
    files.update({f'gt/{i}_{i}.npy': npy([[0, 1]]) for i in (2, 3)})
    files.update({names[0]: b'1_1\n', names[1]: b'2_2.pkl\r\n3_3.npy\r\n'})
    source = PoseLift(write(tmp_path, files), strict=True)
    assert {ann['clip']: splits for ann, splits in source} == {
        '1_1': ('train', 'supervised_train'), '2_2': ('test', 'supervised_train'),
        '3_3': ('test', 'supervised_test')}
    assert any('three of five' in note for note in source.notes)


def test_labels_of_a_test_video_are_not_those_of_a_training_video_of_its_name(tmp_path):
    files = {'Train/1_1.pkl': video({1: [0, 1]}), 'Test/1_1.pkl': video({1: [0, 1]}, seed=1),
             'GT/1_1.npy': npy([0, 1])}
    (test, _), (train, _) = PoseLift(write(tmp_path, files), strict=True)
    assert test['frame_label'].tolist() == [0, 1]
    assert (test['label'], train['label']) == (1, 0)
    assert 'frame_label' not in train
    write(tmp_path, {'Train/1_1.npy': npy([0, 0])})
    (_, _), (train, _) = PoseLift(tmp_path, strict=True)
    assert train['frame_label'].tolist() == [0, 0]


def test_labels_elsewhere_are_read_with_an_option(tmp_path):
    folder = write(tmp_path / 'PHEVA', {'test/0_2.pkl': video({3: [0, 1]})})
    with pytest.raises(AnnotationError, match=r'labels: found none, expected 0_2.npy .*--gt'):
        list(PHEVA(folder, strict=True))
    with zipfile.ZipFile(tmp_path / 'GT.zip', 'w') as archive:
        archive.writestr('GT/0_2.npy', npy([0, 1]))
    source = PHEVA(folder, strict=True, gt=tmp_path / 'GT.zip')
    (ann, _), = source
    assert ann['frame_label'].tolist() == [0, 1]
    assert any('1280 x 720' in note for note in source.notes)
    assert read_frame_labels('pheva', folder, gt=tmp_path / 'GT.zip')['0_2'].tolist() == [0, 1]


def test_frames_from_one_are_asked_for(tmp_path):
    chad(tmp_path, video({1: [1, 2, 5]}))
    with pytest.raises(AnnotationError, match=r'1 to 5 with 5 labels, .*--first-frame 1'):
        list(CHAD(tmp_path, strict=True))
    (ann, _), = CHAD(tmp_path, strict=True, first_frame=1)
    assert ann['frame_inds'].tolist() == [0, 1, 4]
    assert ann['frame_label'].tolist() == [0, 0, 0]
    source = CHAD(tmp_path, strict=True, first_frame=0)
    (ann, _), = source
    assert ann['frame_inds'].tolist() == [1, 2]
    assert any('after the end of the labels' in note for note in source.notes)


BROKEN = {
    'list': ([1], 'frames', 'a dict'),
    'nobody': ({0: {}, 1: None}, 'persons', 'none'),
    'number': ({0: {1: 5}}, 'person', 'box and keypoints'),
    'no keypoints': ({0: {1: [[1, 2, 3, 4]]}}, 'person', 'box and keypoints'),
    '16 joints': ({0: {1: [[1, 2, 3, 4], [1.] * 48]}}, 'keypoints', '51 numbers'),
    'ragged': ({0: {1: [[1, 2, 3, 4], [1.] * 51], 2: [[1, 2, 3, 4], [1.]]}}, 'keypoints', '51'),
    'transposed': ({0: {1: [[1, 2, 3, 4], [[9.] * 17] * 3]}}, 'keypoints', r'shape \(3, 17\)'),
    'unit': ({0: {1: [[.1, .1, .5, .5], [.5] * 51]}}, 'keypoints', 'coordinates up to 0.5'),
    'infinite': ({0: {1: [[1, 2, 3, 4], [np.inf] * 51]}}, 'keypoints', 'infinite'),
    'text': ({0: {1: ['abcd', [1.] * 51]}}, 'box', 'numbers'),
    'negative': ({-1: {1: [[1, 2, 3, 4], [9.] * 51]}}, 'frame', '-1'),
    'twice': ({0: {1: [[1, 2, 3, 4], [9.] * 51], '1': [[1, 2, 3, 4], [9.] * 51]}}, 'frames',
              'twice'),
    'scores': ({0: {1: [[1, 2, 3, 4], [1., 2., 300.] * 17]}}, 'keypoints', 'scores up to 300'),
}


@pytest.mark.parametrize('name', sorted(BROKEN))
def test_anomaly_video_with_bad_poses_is_skipped_with_its_reason(tmp_path, name):
    content, field, words = BROKEN[name]
    chad(tmp_path, pickle.dumps(content))
    chad(tmp_path, video(TRACKS), name='1_002_0')
    source = CHAD(tmp_path)
    assert {ann['clip'] for ann, _ in source} == {'1_002_0'}
    assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=rf'(?s)1_066_1.pkl: {field}: found .*{words}'):
        list(CHAD(tmp_path, strict=True))


@pytest.mark.parametrize(('labels', 'words'), [
    ([0, 2], 'int64 of shape'), ([], r'shape \(0,\)'),
    ([[0, 1], [1, 0]], r'shape \(2, 2\)'), (['a'], '<U1')])
def test_labels_that_are_not_0_and_1_are_named(tmp_path, labels, words):
    chad(tmp_path, video({1: [0]}), labels)
    with pytest.raises(AnnotationError, match=rf'1_066_1.npy: labels: found .*{words}'):
        list(CHAD(tmp_path, strict=True))


def test_array_of_many_objects_is_refused(tmp_path):
    objects = np.empty(3, object)
    objects[:] = [[1, 2, 3, 4], [1.] * 51, 0]
    chad(tmp_path, pickle.dumps({0: {1: objects}}))
    with pytest.raises(AnnotationError, match='an array of objects of shape'):
        list(CHAD(tmp_path, strict=True))


@pytest.mark.parametrize('name', ['chad', 'pheva', 'poselift'])
def test_prepared_anomaly_videos_have_their_ground_truth(tmp_path, name, monkeypatch):
    folder = write(tmp_path / 'data', SAMPLES[name][1])
    monkeypatch.setattr(sys, 'argv', ['prepare.py', name, str(folder), str(tmp_path / 'a.pkl')])
    runpy.run_path(str(TOOL), run_name='__main__')
    data = load_annotations(tmp_path / 'a.pkl')
    assert set(data['split']) >= {'train', 'test', 'supervised_train'}
    labels = read_frame_labels(name, folder)
    tests = TrackWindowDataset(str(tmp_path / 'a.pkl'), split='test', seg_len=2, min_len=2,
                               max_missing=2, pipeline=[], test_mode=True)
    assert set(tests.tracks.clips) == set(labels)
    for clip, frame, abnormal in zip(tests.tracks.clip.repeat(tests.tracks.length),
                                     tests.tracks.frame, tests.tracks.abnormal, strict=True):
        assert labels[tests.tracks.clips[clip]][frame] == abnormal
    assert sum(label.sum() for label in labels.values()) == 2
