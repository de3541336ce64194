"""Inputs of the inferencer: files of every source, axes, units and sizes of arrays."""

import json
import shutil

import numpy as np
import pytest
import torch

from mofm.annotations import AnnotationError, dump_annotations
from mofm.apis.recordings import RecordingOptions, RecordingReader
from mofm.apis.stream import MotionStream
from mofm.registry import SOURCES
from tests.test_sources.native_files import SAMPLES, mocap, write
from tests.test_sources.native_files.pose_detectors import alphapose, openpose, people

# COCO-17 of a standing person in [0, 1], upright in an image.
STAND = np.array([[.5, .1], [.52, .08], [.48, .08], [.54, .1], [.46, .1], [.6, .25], [.4, .25],
                  [.63, .4], [.37, .4], [.64, .53], [.36, .53], [.56, .55], [.44, .55], [.56, .75],
                  [.44, .75], [.56, .95], [.44, .95]])

# (1, 60, 17, 2) pixels at the right edge of a wide image.
AT_RIGHT = np.tile(STAND * [140, 400] + [490, 40], (1, 60, 1, 1))


def walk(frames=30, persons=1, size=(480, 640)):
    """(M, T, 17, 2) pixels of persons who walk to the right, 150 pixels apart."""
    shift = np.zeros((persons, frames, 1, 2))
    shift[..., 0, 0] = 150 * np.arange(persons)[:, None] + 3 * np.arange(frames) - 250
    return STAND * size[::-1] + shift + [0, 1]


def read(inputs, **options):
    reader = RecordingReader(RecordingOptions(**options))
    found = list(reader.read(inputs))
    return found, [str(problem) for problem in reader.problems], reader.notes


def refused(inputs, *words, **options):
    found, (problem, ), _ = read(inputs, **options)
    assert not found
    for word in words:
        assert word in problem
    return problem


# ------------------------------------------------------------------------------------ files
@pytest.mark.parametrize('name', sorted(name for name, (reader, _, options) in SAMPLES.items()
                                        if not options and reader in
                                        SOURCES.module_dict.values()))
@pytest.mark.parametrize('archive', [False, True])
def test_source_gives_in_the_inferencer_what_it_gives_in_prepare(name, archive, tmp_path):
    reader, files, _ = SAMPLES[name]
    path = write(tmp_path / 'data', files)
    if archive:
        path = shutil.make_archive(str(tmp_path / 'data'), 'zip', path)
    source, = (key for key, one in SOURCES.module_dict.items() if one is reader)
    expected = [ann for ann, _ in reader(path) if ann['keypoint'].any()]
    found, problems, notes = read(path, source=source)
    if not expected:
        assert problems
    assert len(found) == len(expected)
    for recording, ann in zip(found, expected, strict=True):
        assert recording.name == ann['frame_dir']
        np.testing.assert_array_equal(recording.ann['keypoint'], ann['keypoint'])
        assert recording.fps == ann.get('fps')
    assert f'{path}: read as {source}' in notes


def test_pose_files_are_recognized_without_a_source(tmp_path):
    for name, source in (('bvh', 'bvh'), ('openpose', 'openpose'), ('nw_ucla', 'nw_ucla'),
                         ('pyskl_3d', 'pyskl_3d')):
        found, problems, notes = read(write(tmp_path / name, SAMPLES[name][1]))
        assert found
        assert not problems
        assert f'{tmp_path / name}: read as {source} (' in notes[0]


def test_motion_capture_is_seen_by_one_camera_with_the_options_and_rate_of_the_file(tmp_path):
    file = write(tmp_path, {'a.bvh': mocap.bvh()}) / 'a.bvh'
    recording, = read(file)[0]
    assert recording.ann['keypoint'].shape == (1, 5, 17, 2)
    assert recording.fps == 30
    assert read(file, fps=60)[0][0].fps == 60
    assert any('3D joints, seen by 1 virtual camera' in note for note in read(file)[2])
    two, problems, _ = read(file, source_options=dict(views=2, yaw=(-60, 60)))
    assert [r.name for r in two] == ['a_v0', 'a_v1']
    assert not problems


def test_wrong_option_of_a_source_is_named_with_what_was_recognized(tmp_path):
    file = write(tmp_path, {'a.bvh': mocap.bvh()}) / 'a.bvh'
    refused(file, 'a.bvh: source_options: found', 'bvh (BVH): text that begins with HIERARCHY',
            'unrecognized arguments: --unti=2', source_options=dict(unti=2))
    refused(file, "source: found 'bhv', expected auto or bvh", source='bhv')


def test_layout_and_image_size_of_the_user_reach_the_reader(tmp_path):
    values = people(joints=17)
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(alphapose(values)))
    (one, ), _, _ = read(file, img_shape=(480, 700))
    assert one.ann['img_shape'] == (480, 700)
    (other, ), _, _ = read(file, layout='h36m17')
    assert not np.array_equal(one.ann['keypoint'], other.ann['keypoint'])


def test_file_of_no_reader_is_described(tmp_path):
    (tmp_path / 'a.json').write_text('{"foo": 1}')
    refused(tmp_path / 'a.json', "a.json: format: found a JSON object with ['foo']")
    refused(tmp_path, 'a.json: format: found a JSON object')
    write(tmp_path / 'b', {**SAMPLES['bvh'][1], **SAMPLES['openpose'][1]})
    refused(tmp_path / 'b', 'format: found files of several kinds', '\n  bvh (BVH)',
            '\n  openpose (OpenPose)')


def test_track_ids_of_files_are_kept(tmp_path):
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(alphapose(people(6, 2), lambda t, m: (9, 4)[m])))
    (recording, ), _, _ = read(file)
    assert sorted(recording.ann['track_id'].tolist()) == [4, 9]


def test_arrays_in_files_of_any_case_are_read(tmp_path):
    with open(tmp_path / 'a.NPY', 'wb') as file:
        np.save(file, walk(5)[0])
    for path in (tmp_path / 'a.NPY', tmp_path):
        (recording, ), problems, _ = read(path)
        assert not problems
        np.testing.assert_array_equal(recording.ann['keypoint'], walk(5))


# ----------------------------------------------------------------------------------- arrays
@pytest.mark.parametrize('kind', ['array', 'float16', 'tensor', 'lists', 'frames', 'tensors'])
@pytest.mark.parametrize('score', [False, True])
def test_one_person_is_taken_from_arrays_tensors_and_lists(kind, score):
    array = walk()[0]
    if score:
        array = np.concatenate([array, np.full((30, 17, 1), .5)], -1)
    given = dict(array=array, float16=array.astype(np.float16), tensor=torch.tensor(array),
                 lists=array.tolist(), frames=[*array],
                 tensors=[*torch.tensor(array, requires_grad=True)])[kind]
    (recording, ), problems, notes = read(given)
    assert not problems
    assert not notes
    np.testing.assert_allclose(recording.ann['keypoint'], walk(), atol=.3)
    assert (recording.ann['keypoint_score'] == (.5 if score else 1)).all()


@pytest.mark.parametrize(('persons', 'frames'), [(2, 60), (3, 12), (5, 5), (1, 30)])
@pytest.mark.parametrize('score', [False, True])
def test_persons_are_told_from_frames_by_number_and_motion(persons, frames, score):
    array = walk(frames, persons)
    given = np.concatenate([array, np.ones((*array.shape[:3], 1))], -1) if score else array
    for axes, one in (('MTVC', given), ('TMVC', given.swapaxes(0, 1))):
        (recording, ), problems, notes = read(one)
        assert not problems
        np.testing.assert_allclose(recording.ann['keypoint'], array)
        said = f'is {axes}: {frames} frames of {persons} persons'
        assert (said in ''.join(notes)) == (persons > 1 or axes == 'TMVC')
        (same, ), _, notes = read(one, axes=axes)
        np.testing.assert_allclose(same.ann['keypoint'], array)
        assert not notes


def test_axes_that_cannot_be_told_are_asked_for():
    rng = np.random.default_rng(0)
    noise = rng.uniform(100, 200, (4, 5, 17, 2))
    refused(noise, '(4, 5, 17, 2), which may be M=4 and T=5, or T=4 and M=5',
            'expected axes, one of MTVC, TMVC, CTVM')
    for axes, persons in (('MTVC', 4), ('TMVC', 5)):
        (recording, ), _, _ = read(noise, axes=axes)
        assert len(recording.ann['keypoint']) == persons
    still = np.tile(walk(1, 1), (6, 6, 1, 1))  # copies show no motion
    refused(still, 'expected axes')
    # motion against number: three frames of 16 persons
    refused(walk(3, 16).swapaxes(0, 1)[:, :, :, [0, 1, 1]] * [1, 1, 0] + [0, 0, 1], 'axes')


def test_coordinates_first_is_never_taken_for_persons():
    """(C, T, V, M) of ST-GCN: x and y would be two persons."""
    array = walk(40, 2).transpose(3, 1, 2, 0)  # (2, 40, 17, 2)
    refused(array, 'M=2 persons and C=2, or C=2 coordinates of M=2 persons', 'CTVM')
    (recording, ), _, _ = read(array, axes='CTVM')
    np.testing.assert_allclose(recording.ann['keypoint'], walk(40, 2))
    alone = array.copy()
    alone[..., 1] = 0
    refused(alone, 'CTVM')
    (recording, ), _, _ = read(walk(40, 2))  # upright persons
    np.testing.assert_allclose(recording.ann['keypoint'], walk(40, 2))


def test_flat_rows_and_other_numbers_of_values_are_asked_for():
    refused(walk()[0].reshape(30, 34), 'array.reshape(30, 17, 2)')
    refused(np.ones((30, 51)), 'array.reshape(30, 17, 3)')
    refused(np.ones((30, 17, 4)), 'shape (30, 17, 4)', 'source')
    refused(np.ones((1, 2, 30, 17, 2)), 'shape (1, 2, 30, 17, 2)')


def test_third_values_that_are_no_scores_are_refused():
    depth = np.concatenate([walk()[0], np.linspace(-900, 900, 17 * 30).reshape(30, 17, 1)], -1)
    refused(depth, 'third values from -900 to 900, expected scores', 'source')


def test_nested_lists_of_recordings_are_as_many_recordings():
    found, problems, notes = read([walk(5)[0].tolist(), walk(5)[0].tolist()])
    assert len(found) == 2
    assert not problems
    assert '2 nested lists are as many recordings' in notes[0]
    (one, ), _, _ = read(walk(5, 2).tolist(), axes='MTVC')
    assert one.ann['keypoint'].shape == (2, 5, 17, 2)


def test_nested_lists_of_frames_are_one_recording():
    expected = walk(30, 2)
    (one, ), problems, notes = read(expected.swapaxes(0, 1).tolist())
    assert not problems
    np.testing.assert_allclose(one.ann['keypoint'], expected, atol=1e-4)
    assert notes == ['inputs: array of shape (30, 2, 17, 2) is TMVC: 30 frames of 2 persons']
    found, _, _ = read([walk(5)[0].tolist(), walk(9)[0].tolist()])
    assert [len(recording.ann['keypoint'][0]) for recording in found] == [5, 9]


def test_annotation_of_one_person_needs_no_axis_of_persons():
    score = np.full((30, 17), .25)
    (recording, ), _, _ = read(dict(keypoint=walk()[0], keypoint_score=score))
    np.testing.assert_allclose(recording.ann['keypoint'], walk())
    assert (recording.ann['keypoint_score'] == .25).all()


def test_persons_and_frames_of_annotations_are_not_swapped_silently():
    swapped = walk(60, 2).swapaxes(0, 1)
    refused(dict(keypoint=swapped), '60 persons in 2 frames, which look like frames of persons')
    refused(dict(keypoint=swapped, total_frames=60), 'expected (persons, 60 frames, 17 joints')
    (recording, ), _, _ = read(dict(keypoint=swapped), axes='MTVC')
    assert len(recording.ann['keypoint']) == 60
    (recording, ), _, _ = read(dict(keypoint=swapped, total_frames=2))
    assert len(recording.ann['keypoint']) == 60


def test_persons_of_one_frame_in_three_axes_are_noted():
    crowd = walk(1, 5, size=(100, 100))[:, 0] + 300  # (5, 17, 2), 150 pixels apart
    (_, ), problems, notes = read(crowd)
    assert not problems
    assert 'array of shape (5, 17, 2) is 5 frames of one person, who jumps' in notes[0]


# ------------------------------------------------------------------------ units and image size
@pytest.mark.parametrize('kind', ['array', 'annotation', 'file'])
@pytest.mark.parametrize('coordinates', ['unit', 'signed'])
def test_normalized_coordinates_are_scaled_with_the_image_size_or_refused(kind, coordinates,
                                                                           tmp_path):
    pixels = walk(20).clip(1, (639, 479))
    pixels[0, :, 3] = 0  # a missing joint
    values = pixels / (640, 480)
    values = np.where(pixels > 0, values if coordinates == 'unit' else 2 * values - 1, 0)
    given = values[0] if kind == 'array' else dict(keypoint=values)
    if kind == 'file':
        given = tmp_path / 'a.npy'
        np.save(given, values[0])
    refused(given, 'img_shape: found nothing, and coordinates from', 'img_shape, the height and')
    (recording, ), _, notes = read(given, img_shape=(480, 640))
    np.testing.assert_allclose(recording.ann['keypoint'], pixels, atol=.01)
    said = dict(unit='0 to 1', signed='-1 to 1')[coordinates]
    assert f'coordinates are {said} of an image of height 480 and width 640' in notes[0]
    (same, ), _, _ = read(given, img_shape=(480, 640), coordinates=coordinates)
    np.testing.assert_array_equal(same.ann['keypoint'], recording.ann['keypoint'])


def test_annotation_file_with_normalized_coordinates_is_scaled_with_its_image_size(tmp_path):
    ann = dict(frame_dir='a', label=0, total_frames=20, img_shape=(480, 640),
               keypoint=walk(20) / (640, 480), keypoint_score=np.ones((1, 20, 17)))
    dump_annotations(dict(split={}, annotations=[ann]), tmp_path / 'a.pkl')
    (recording, ), _, _ = read(tmp_path / 'a.pkl')
    np.testing.assert_allclose(recording.ann['keypoint'], walk(20), atol=.01)


def test_swapped_image_size_is_refused_and_poses_outside_are_said():
    refused(AT_RIGHT, 'img_shape: found', 'expected (480, 640), as all fit if height',
            img_shape=(640, 480))
    (_, ), problems, notes = read(walk(30) + [900, 900], img_shape=(480, 640))
    assert not problems
    assert '30 of 30 poses outside of an image of height 480 and width 640' in notes[0]


def test_pixels_stay_as_they_are():
    for scale in (1, 10):
        (recording, ), _, notes = read(scale * walk(30), img_shape=(4800, 6400))
        np.testing.assert_array_equal(recording.ann['keypoint'], scale * walk(30))
        assert not notes


@pytest.mark.parametrize('option', [dict(axes='VTMC'), dict(coordinates='meters'),
                                    dict(img_shape=5), dict(source_options='map=a')])
def test_impossible_options_are_named(option):
    with pytest.raises(ValueError, match=f'{[*option][0]}: found'):
        RecordingOptions(**option)


# -------------------------------------------------------------------------------- results
def test_results_have_notes_and_track_ids(inferencer, tmp_path):
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(alphapose(people(50, 2), lambda t, m: (9, 4)[m])))
    results = inferencer('action')(file, progress=False)
    assert any('read as alphapose (AlphaPose): a list of' in note for note in results.notes)
    assert sorted(results[0].to_dict()['track_id']) == [4, 9]
    assert {row['person'] for row in results[0].rows()} <= {'4 9', '9 4'}
    results[0].save(tmp_path / 'out.json')
    assert json.loads((tmp_path / 'out.json').read_text())['track_id'] == results[0].track_id
    plain, = inferencer('action')(walk(50), progress=False)
    assert 'track_id' not in plain.to_dict()
    assert 'person' not in plain.rows()[0]


def test_error_of_a_file_says_what_it_was_taken_for(inferencer, tmp_path):
    files = openpose(people(4, 1, 25))
    damaged = dict.fromkeys(files, b'{"people": [{"pose_keypoints_2d": [1, 2]}]}')
    with pytest.raises(AnnotationError, match="(?s)pose_keypoints_2d.*read as openpose"):
        inferencer('action')(write(tmp_path / 'walk', damaged), progress=False)


# ---------------------------------------------------------------------------------- streams
def test_stream_refuses_normalized_coordinates_unless_said(inferencer):
    model = inferencer('action')
    pixels = walk(60).clip(1, (639, 479))
    with pytest.raises(ValueError, match="coordinates up to 0.9.*expected pixels.*'unit'"):
        MotionStream(model, (480, 640)).push(pixels[:, 0] / (640, 480))
    outputs = []
    for coordinates in ('pixels', 'unit', 'signed'):
        stream = MotionStream(model, (480, 640), coordinates=coordinates, stride=100)
        scale = dict(pixels=lambda x: x, unit=lambda x: x / (640, 480),
                     signed=lambda x: 2 * x / (640, 480) - 1)[coordinates]
        outputs.append([result.output['scores'] for frame in range(60)
                        for result in stream.push(scale(pixels[:, frame]))])
    assert len(outputs[0]) == 1
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4)
    np.testing.assert_allclose(outputs[2], outputs[0], atol=1e-4)


def test_stream_refuses_swapped_image_size_after_ten_frames(inferencer):
    stream = MotionStream(inferencer('action'), (640, 480))
    for frame in range(9):
        stream.push(AT_RIGHT[:, frame])
    with pytest.raises(ValueError, match=r'img_shape: found \(640, 480\), expected height and'):
        stream.push(AT_RIGHT[:, 9])
