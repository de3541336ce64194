"""MediaPipe: JSON, CSV and arrays of landmarks, in the image and in the world."""

import io

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.pose_programs.mediapipe import MediaPipe, MediaPipeWorld
from mofm.sources.recognition import resolve
from mofm.structures import convert
from tests.test_sources.native_files import write
from tests.test_sources.native_files.estimators import (
    MEDIAPIPE,
    SIZE,
    landmarks,
    mediapipe_csv,
    npy,
    people_in,
    world,
)
from tests.test_sources.native_files.pose_detectors import dump

# Landmarks of COCO-17 by PoseLandmark.
COCO = [0, 2, 5, 7, 8, *range(11, 17), *range(23, 29)]
VALUES = people_in('mediapipe33', persons=1)


def read(tmp_path, files, reader=MediaPipe, **kwargs):
    source = reader(write(tmp_path, files), strict=True, **kwargs)
    return [ann for ann, _ in source], source.notes


def check(ann, values=VALUES[:, 0], score=True):
    np.testing.assert_allclose(ann['keypoint'][0], values[:, COCO, :2], atol=.3)
    expected = values[:, COCO, 2] if score else np.ones((len(values), 17))
    np.testing.assert_allclose(ann['keypoint_score'][0], expected, atol=.001)


FRAMES = [landmarks(frame[0]) for frame in VALUES]
JSON = {
    'frames': FRAMES,
    'frames under a key': dict(video='walk.mp4', pose_landmarks=FRAMES),
    'numbered under a key': dict(landmarks={str(t): frame for t, frame in enumerate(FRAMES)}),
    'columns': [{axis: [p[axis] for p in frame] for axis in ('x', 'y', 'z', 'visibility')}
                for frame in FRAMES],
    'holistic': [dict(pose_landmarks=frame, face_landmarks=frame * 2, left_hand_landmarks=None)
                 for frame in FRAMES],
    'lists': [[[p['x'], p['y'], p['z'], p['visibility']] for p in frame] for frame in FRAMES],
    'flat': [[v for p in frame for v in (p['x'], p['y'], p['z'], p['visibility'])]
             for frame in FRAMES],
    'solutions': [dict(frame=t, pose_landmarks=dict(landmark=frame))
                  for t, frame in enumerate(FRAMES)],
    'tasks': [dict(timestamp_ms=40 * t, pose_landmarks=[frame], pose_world_landmarks=[frame[::-1]])
              for t, frame in enumerate(FRAMES)],
    'javascript': dict(fps=25, results=[dict(poseLandmarks=frame) for frame in FRAMES]),
    'numbered': {f'frame_{t:04d}': frame for t, frame in enumerate(FRAMES)},
    'by name': [dict(zip(map(str.lower, MEDIAPIPE), frame, strict=True)) for frame in FRAMES],
    'by camel case': [dict(landmarks={
        ''.join(w.capitalize() if i else w.lower() for i, w in enumerate(name.split('_'))): point
        for name, point in zip(MEDIAPIPE, frame, strict=True)}) for frame in FRAMES],
    **{f'named points with {key}': [dict(keypoints=[
        {'name': name.lower(), 'x': p['x'], 'y': p['y'], key: p['visibility']}
        for name, p in list(zip(MEDIAPIPE, frame, strict=True))[::-1]]) for frame in FRAMES]
       for key in ('score', 'confidence')}}


@pytest.mark.parametrize('form', sorted(JSON))
def test_mediapipe_json_forms_equal_the_file(tmp_path, form):
    (ann, ), _ = read(tmp_path, {'walk.json': dump(JSON[form])}, img_shape=SIZE)
    assert (ann['frame_dir'], ann['total_frames']) == ('walk', 6)
    check(ann)
    assert resolve(tmp_path).source == 'mediapipe'


def test_mediapipe_lines_and_files_per_frame_are_one_video(tmp_path):
    lines = b'\n'.join(map(dump, FRAMES))
    (ann, ), _ = read(tmp_path / 'a', {'walk.jsonl': lines}, img_shape=SIZE)
    check(ann)
    files = {f'out/walk_{t:03d}.json': dump(dict(pose_landmarks=[frame]))
             for t, frame in enumerate(FRAMES, 4)}
    (ann, ), _ = read(tmp_path / 'b', files, img_shape=SIZE)
    assert ann['frame_dir'] == 'out/walk'
    assert ann['frame_inds'].tolist() == [4, 5, 6, 7, 8, 9]
    check(ann)


def test_mediapipe_numbered_videos_stay_apart(tmp_path):
    files = {f'walk_{i}.json': dump(FRAMES) for i in (1, 2)}
    files['walk_3.json'] = b'{'
    source = MediaPipe(write(tmp_path, files), img_shape=SIZE)
    assert [ann['frame_dir'] for ann, _ in source] == ['walk_1', 'walk_2']
    assert 'walk_3.json' in str(source.problems[0])


def test_mediapipe_frames_without_person_and_several_persons(tmp_path):
    two = people_in('mediapipe33', frames=12)
    data = [dict(frame=t, pose_landmarks=[landmarks(p) for p in frame])
            for t, frame in enumerate(two)]
    data[0]['pose_landmarks'] = []
    data[11]['pose_landmarks'] = None
    data[5]['pose_landmarks'] = data[5]['pose_landmarks'][::-1]
    (ann, ), _ = read(tmp_path, {'walk.json': dump(data)}, img_shape=SIZE)
    assert ann['keypoint'].shape == (2, 12, 17, 2)
    assert not ann['keypoint_score'][:, [0, 11]].any()
    order = np.argsort(ann['keypoint'][:, 3, 5, 0])
    for m in range(2):
        check({k: ann[k][order[[m]], 1:11] for k in ('keypoint', 'keypoint_score')}, two[1:11, m])


@pytest.mark.parametrize('form', ['named', 'named first', 'numbers', 'from 1', 'no header', 'gap'])
def test_mediapipe_csv_forms_equal_the_file(tmp_path, form):
    values = VALUES[:, 0]
    text = {
        'named': lambda: mediapipe_csv(values),
        'named first': lambda: mediapipe_csv(values, '{1}_{0}'.format, map(str.lower, MEDIAPIPE)),
        'numbers': lambda: mediapipe_csv(values, '{1[0]}{0}'.format, range(33), False),
        'from 1': lambda: mediapipe_csv(values, 'landmark_{0}_{1}'.format, range(1, 34)),
        'no header': lambda: b'\n'.join(mediapipe_csv(values).splitlines()[1:]),
        'gap': lambda: b'\n'.join(b'2' + b',' * 132 if line.startswith(b'2,') else line
                                  for line in mediapipe_csv(values).splitlines())}[form]()
    (ann, ), _ = read(tmp_path, {'walk.csv': text}, img_shape=SIZE, max_gap=0)
    assert ann['total_frames'] == 6
    if form == 'gap':
        assert ann['keypoint_score'].any((0, 2)).tolist() == [True, True, False, True, True, True]
        keep = [0, 1, 3, 4, 5]
        check({k: ann[k][:, keep] for k in ('keypoint', 'keypoint_score')}, values[keep])
    else:
        check(ann)


@pytest.mark.parametrize('width', [2, 3, 4, 5])
def test_mediapipe_arrays_equal_the_file(tmp_path, width):
    xyv = VALUES[:, 0] / [SIZE[1], SIZE[0], 1]
    z = np.linspace(-.3, .3, 33)[None].repeat(6, 0)
    array = np.stack([xyv[..., 0], xyv[..., 1], z, xyv[..., 2], xyv[..., 2]], -1)[..., :width]
    (ann, ), notes = read(tmp_path / 'a', {'walk.npy': npy(array)}, img_shape=SIZE)
    check(ann, score=width > 3)
    assert not any('visibility' in note for note in notes)
    (ann, ), _ = read(tmp_path / 'b', {'walk.npy': npy(array.reshape(6, -1))}, img_shape=SIZE)
    check(ann, score=width > 3)
    if width == 3:
        (ann, ), notes = read(tmp_path / 'c', {'walk.npy': npy(xyv)}, img_shape=SIZE)
        check(ann)
        assert any('are taken for their visibility' in note for note in notes)


def holistic(count):
    """A frame (T, count, 4): the body, and points of face and hands in its place."""
    body = np.stack([VALUES[:, 0, :, 0] / SIZE[1], VALUES[:, 0, :, 1] / SIZE[0],
                     np.zeros((6, 33)), VALUES[:, 0, :, 2]], -1)
    return np.concatenate([body, body[:, :1].repeat(count - 33, 1)], 1)


@pytest.mark.parametrize('count', [75, 501, 543])
def test_mediapipe_body_of_holistic_landmarks_comes_first(tmp_path, count):
    array = holistic(count)
    (ann, ), notes = read(tmp_path, {'walk.npy': npy(array)}, img_shape=SIZE)
    check(ann)
    assert any(f'the first 33 of {count} landmarks' in note for note in notes)
    with pytest.raises(AnnotationError, match='are no body'):
        read(tmp_path, {'walk.npy': npy(array[:, ::-1])}, img_shape=SIZE)


def test_mediapipe_arrays_per_frame_are_one_video(tmp_path):
    """Flat arrays of a frame: 33 x 4 of the body, 468 x 3 of the face, 2 x 21 x 3 of hands."""
    flat = [np.concatenate([frame[:33].ravel(), np.zeros(1662 - 132)]) for frame in holistic(75)]
    files = {f'hello/0/{t}.npy': npy(frame) for t, frame in enumerate(flat)}
    (ann, ), _ = read(tmp_path / 'a', files, img_shape=SIZE)
    assert (ann['frame_dir'], ann['total_frames']) == ('hello/0', 6)
    check(ann)
    files = {f'walk/{t}.npy': npy(frame[:33]) for t, frame in enumerate(holistic(75))}
    (ann, ), _ = read(tmp_path / 'b', files, img_shape=SIZE)
    check(ann)


def test_mediapipe_visibility_in_an_array_of_its_own(tmp_path):
    xyv = VALUES[:, 0] / [SIZE[1], SIZE[0], 1]
    out = io.BytesIO()
    np.savez(out, landmarks=xyv[..., :2], visibility=xyv[..., 2])
    (ann, ), _ = read(tmp_path, {'walk.npz': out.getvalue()}, img_shape=SIZE)
    check(ann)


def test_mediapipe_needs_the_image_size_unless_the_file_tells_it(tmp_path):
    with pytest.raises(AnnotationError, match='--img-shape'):
        read(tmp_path, {'walk.json': dump(FRAMES)})
    data = dict(metadata=dict(fps=29.97, frame_width=SIZE[1], frame_height=SIZE[0]), frames=FRAMES)
    (ann, ), _ = read(tmp_path, {'walk.json': dump(data)})
    assert (ann['img_shape'], ann['fps']) == (SIZE, 29.97)
    check(ann)


def test_mediapipe_pixels_stay_pixels(tmp_path):
    (ann, ), _ = read(tmp_path, {'walk.npy': npy(VALUES[:, 0])})
    check(ann)


# ----------------------------------------------------------------------------------------- world
WORLD = world()


def points(pose):
    return [dict(x=x, y=y, z=z, visibility=.9) for x, y, z in pose.tolist()]


@pytest.mark.parametrize('form', ['tasks', 'both', 'files', 'npy', 'csv'])
def test_mediapipe_world_landmarks_are_upright_meters(tmp_path, form):
    files = {
        'tasks': lambda: {'walk.json': dump([dict(pose_world_landmarks=[points(p)])
                                             for p in WORLD])},
        'both': lambda: {'walk.json': dump([
            dict(pose_landmarks=[frame], pose_world_landmarks=[points(p)])
            for p, frame in zip(WORLD, FRAMES, strict=True)])},
        'files': lambda: {f'walk/{t}.json': dump(dict(poseWorldLandmarks=points(p)))
                          for t, p in enumerate(WORLD)},
        'npy': lambda: {'walk.npy': npy(WORLD)},
        'csv': lambda: {'walk.csv': '\n'.join([
            ','.join(f'{name}_world_{axis}' for name in MEDIAPIPE for axis in 'xyz'),
            *(','.join(map(str, pose.ravel())) for pose in WORLD)]).encode()}}[form]()
    (ann, ), notes = read(tmp_path, files, MediaPipeWorld, keep_3d=True)
    expected = convert(WORLD * [-1, -1, 1], None, 'mediapipe33')[0]
    np.testing.assert_allclose(ann['keypoint'][0], expected, atol=2e-3)
    head, feet = ann['keypoint'][0, :, 0, 1], ann['keypoint'][0, :, 15, 1]
    assert (head > feet + 1).all()
    assert not any('above' in note for note in notes)


def test_mediapipe_world_frames_that_are_missing_are_rows(tmp_path):
    data = [dict(frame=2 * t, pose_world_landmarks=points(p)) for t, p in enumerate(WORLD)]
    del data[2]
    (ann, ), _ = read(tmp_path, {'walk.json': dump(data)}, MediaPipeWorld, keep_3d=True)
    assert ann['total_frames'] == 6
    assert ann['keypoint_score'].any((0, 2)).tolist() == [True, True, False, True, True, True]


def test_mediapipe_world_and_image_are_not_mixed_up(tmp_path):
    image = dump([dict(pose_landmarks=[frame]) for frame in FRAMES])
    with pytest.raises(AnnotationError, match='the source mediapipe reads those of the image'):
        read(tmp_path, {'walk.json': image}, MediaPipeWorld)
    only_world = dump([dict(pose_world_landmarks=[points(p)]) for p in WORLD])
    with pytest.raises(AnnotationError, match='mediapipe_world reads those of the world'):
        read(tmp_path, {'walk.json': only_world}, img_shape=SIZE)
    assert resolve(tmp_path).source == 'mediapipe_world'
    (tmp_path / 'walk.json').unlink()
    with pytest.raises(AnnotationError, match='mediapipe_world'):
        read(tmp_path, {'walk.npy': npy(WORLD)}, img_shape=SIZE)
    assert resolve(tmp_path).source == 'mediapipe_world'
    normalized = VALUES[:, 0] / [SIZE[1], SIZE[0], 1]
    with pytest.raises(AnnotationError, match='the source mediapipe reads those of the image'):
        read(tmp_path, {'walk.npy': npy(normalized)}, MediaPipeWorld)


@pytest.mark.parametrize(('data', 'words'), [
    ([[dict(x=1)] * 33], 'no landmarks'), ([dict(face_landmarks=FRAMES[0])], 'no landmarks'),
    ([FRAMES[0][:20]], '20 joints'),
    ([FRAMES[0], FRAMES[1][:32]], 'equally many landmarks'), ({}, 'frames'),
    ([dict(landmarks=FRAMES[0], frame=1)] * 2, 'a number twice')])
def test_mediapipe_bad_file_is_named(tmp_path, data, words):
    with pytest.raises(AnnotationError, match=f'walk.json.*{words}'):
        read(tmp_path, {'walk.json': dump(data)}, img_shape=SIZE)
