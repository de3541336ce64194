"""YOLO: text files, JSON and results objects of ultralytics."""

from types import SimpleNamespace

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.apis.recordings import RecordingReader
from mofm.sources.pose_programs.yolo import YOLO, save_results
from tests.test_sources.native_files import write
from tests.test_sources.native_files.estimators import SIZE, box, yolo, yolo_person
from tests.test_sources.native_files.pose_detectors import dump, people


def read(tmp_path, files, **kwargs):
    source = YOLO(write(tmp_path, files), strict=True, **kwargs)
    return [ann for ann, _ in source], source.notes


@pytest.mark.parametrize('dims', [2, 3])
@pytest.mark.parametrize('tracked', [False, True])
@pytest.mark.parametrize('conf', [None, .8765])
def test_yolo_lines_equal_the_file(tmp_path, dims, tracked, conf):
    """Where score, confidence and track ID are follows from the number of values."""
    values = people()
    anns, _ = read(tmp_path, yolo(values, dims=dims, tracked=tracked, conf=conf),
                   img_shape=SIZE, tracks=True)
    anns.sort(key=lambda a: a['keypoint'][0, 0, 0, 0])
    assert [a['clip'] for a in anns] == ['walk', 'walk']
    if tracked:
        assert [a['track_id'] for a in anns] == [3, 4]
    for m, ann in enumerate(anns):
        assert ann['frame_inds'].tolist() == [1, 2, 3, 4, 5, 6]
        np.testing.assert_allclose(ann['keypoint'][0], values[:, m, :, :2], atol=.3)
        score = values[:, m, :, 2] if dims == 3 else np.ones((6, 17))
        np.testing.assert_allclose(ann['keypoint_score'][0], score, atol=.001)
        low, high = values[:, m, :, :2].min(1), values[:, m, :, :2].max(1)
        np.testing.assert_allclose(ann['box'][0], np.concatenate([low, high], 1), atol=.3)


def test_yolo_lines_need_the_image_size(tmp_path):
    with pytest.raises(AnnotationError, match='--img-shape'):
        read(tmp_path, yolo(people()))


def test_yolo_frame_without_file_has_nobody(tmp_path):
    files = yolo(people(frames=20), tracked=True)
    for t in range(5, 15):
        del files[f'labels/walk_{t}.txt']
    (ann, ), _ = read(tmp_path, files, img_shape=SIZE)
    assert ann['total_frames'] == 20
    assert ann['keypoint_score'].any((0, 2)).tolist() == [True] * 4 + [False] * 10 + [True] * 6


def test_yolo_videos_of_a_folder_are_told_apart(tmp_path):
    files = yolo(people(), 'walk') | yolo(people(frames=4, seed=1), 'run_2')
    files['labels/classes.txt'] = b'person\n'
    anns, _ = read(tmp_path, files, img_shape=SIZE)
    assert [(a['frame_dir'], a['total_frames']) for a in anns] == [('run_2', 4), ('walk', 6)]


def test_yolo_other_classes_and_frames_before_tracking(tmp_path):
    """Frames before the tracker has a track lack the ID; class 1 is no person."""
    values = people(persons=1)
    files = yolo(values, tracked=True)
    files['labels/walk_1.txt'] = yolo(values[:1])['labels/walk_1.txt']
    files['labels/walk_2.txt'] += yolo(people(seed=3, persons=1), kind=1, tracked=True)[
        'labels/walk_2.txt']
    (ann, ), notes = read(tmp_path, files, img_shape=SIZE)
    assert ann['keypoint'].shape == (1, 6, 17, 2)
    np.testing.assert_allclose(ann['keypoint'][0], values[:, 0, :, :2], atol=.3)
    assert any('other classes' in note for note in notes)
    assert any('tracked anew' in note for note in notes)


def test_yolo_nan_is_a_missing_joint(tmp_path):
    values = people(persons=1)
    files = yolo(values)
    line = files['labels/walk_3.txt'].decode().split(' ')
    line[5 + 3 * 4:7 + 3 * 4] = 'nan', 'nan'  # right ear
    files['labels/walk_3.txt'] = ' '.join(line).encode()
    (ann, ), _ = read(tmp_path, files, img_shape=SIZE)
    missing = np.zeros((6, 17), bool)
    missing[2, 4] = True
    np.testing.assert_array_equal(ann['keypoint_score'][0] == 0, missing)


def frames(values, **kwargs):
    return [[yolo_person(pose, m, **kwargs) for m, pose in enumerate(frame)] for frame in values]


@pytest.mark.parametrize('form', ['list', 'texts', 'dict', 'flat', 'lines', 'files', 'named'])
def test_yolo_json_forms_equal_the_file(tmp_path, form):
    values = people()
    data = frames(values)
    files = {'walk.json': {
        'list': lambda: dump(data),
        'texts': lambda: dump([dump(frame).decode() for frame in data]),
        'dict': lambda: dump({str(t): frame for t, frame in enumerate(data)}),
        'flat': lambda: dump([dict(person, frame=t) for t, frame in enumerate(data)
                              for person in frame]),
        'named': lambda: dump([dict(frame_id=t, detections=frame)
                               for t, frame in enumerate(data)]),
        'lines': bytes, 'files': bytes}[form]()}
    if form == 'lines':
        files = {'walk.jsonl': b'\n'.join(map(dump, data))}
    if form == 'files':
        files = {f'walk/walk_{t}.json': dump(frame) for t, frame in enumerate(data)}
    anns, _ = read(tmp_path, files, tracks=True)
    assert [a['frame_dir'] for a in anns] == ['walk/0', 'walk/1']
    for m, ann in enumerate(anns):
        np.testing.assert_array_equal(ann['keypoint'][0], values[:, m, :, :2].astype(np.float16))
        np.testing.assert_array_equal(ann['keypoint_score'][0],
                                      values[:, m, :, 2].astype(np.float16))


def test_yolo_normalized_json_is_scaled_or_refused(tmp_path):
    values = people() / [SIZE[1], SIZE[0], 1]
    files = {'walk.json': dump(frames(values))}
    with pytest.raises(AnnotationError, match='--img-shape'):
        read(tmp_path, files)
    (ann, ), _ = read(tmp_path, files, img_shape=SIZE)
    np.testing.assert_allclose(np.sort(ann['keypoint'][:, :, 5, 0], 0),
                               values[:, :, 5, 0].T * SIZE[1], atol=.3)


@pytest.mark.parametrize(('line', 'words'), [
    ('0 .5 .5 .1', 'class, box and keypoints'), ('0 .5 x', 'equally many numbers'),
    ('0 .5 .5 .1 .1 ' + '.5 ' * 23, '28 values.*--layout')])
def test_yolo_bad_line_is_named(tmp_path, line, words):
    with pytest.raises(AnnotationError, match=words):
        read(tmp_path, {'labels/a_1.txt': line.encode()}, img_shape=SIZE)


class Results:
    """What of ultralytics' results is read."""

    orig_shape = SIZE

    def __init__(self, frame, ids):
        self.keypoints = Points(xy=np.array(frame[..., :2]), conf=np.array(frame[..., 2]))
        self.boxes = SimpleNamespace(
            xyxy=np.array([[x, y, x + w, y + h] for x, y, w, h in map(box, frame)]),
            id=None if ids is None else np.array(ids, float))


class Points(SimpleNamespace):
    def __len__(self):
        return len(self.xy)


def test_yolo_results_objects_equal_their_values(tmp_path):
    values = people()
    results = [Results(frame, [7, 4]) for frame in values]
    results.insert(2, SimpleNamespace(orig_shape=SIZE, keypoints=None, boxes=None))
    save_results(iter(results), tmp_path / 'walk.json')
    anns = [ann for ann, _ in YOLO(tmp_path, strict=True, tracks=True, max_gap=0)]
    assert [(a['frame_dir'], a['track_id'], a['img_shape']) for a in anns] == [
        ('walk/4', 4, SIZE), ('walk/4_1', 4, SIZE), ('walk/7', 7, SIZE), ('walk/7_1', 7, SIZE)]
    for ann, m, first in zip(anns, (1, 1, 0, 0), (0, 2, 0, 2), strict=True):
        expected = values[first:first + (4 if first else 2), m]
        np.testing.assert_array_equal(ann['keypoint'][0], expected[..., :2].astype(np.float16))
        np.testing.assert_array_equal(ann['keypoint_score'][0],
                                      expected[..., 2].astype(np.float16))
        assert ann['frame_inds'][0] == first + bool(first)


@pytest.mark.parametrize('kind', [list, iter])
def test_inferencer_reads_results_objects(kind):
    values = people()
    reader = RecordingReader()
    recording, = reader.read(kind([Results(frame, [7, 4]) for frame in values]))
    assert recording.ann['track_id'].tolist() in ([7, 4], [4, 7])
    assert recording.ann['img_shape'] == SIZE
    first = recording.ann['track_id'].tolist().index(7)
    np.testing.assert_array_equal(recording.ann['keypoint'][first],
                                  values[:, 0, :, :2].astype(np.float16))
    assert not reader.problems
