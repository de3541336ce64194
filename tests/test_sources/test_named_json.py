"""JSON files of joints by name, in the forms that people save."""
import json
import re

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources import NamedJSON
from mofm.sources.recognition import resolve
from mofm.structures import LAYOUTS
from tests.test_sources.native_files import write
from tests.test_sources.native_files.pose_detectors import people

JOINTS = LAYOUTS['coco17'].joints
VALUES = people(12, 1)[:, 0].round(2)  # (T, 17, 3)
SIZE = 480, 640
VISION = dict(nose='head_joint', shoulder='shoulder_1_joint', elbow='forearm_joint',
              wrist='hand_joint', hip='upLeg_joint', knee='leg_joint', ankle='foot_joint')


def camel(name):
    return re.sub('_(.)', lambda match: match[1].upper(), name)


def vision(name):
    side, _, part = name.rpartition('_')
    return f'{side}_' * bool(side) + VISION.get(part, f'{part}_joint')


def frames(point, name=str):
    """A list of {joint: point} from x, y and score."""
    return [{name(joint): point(*values) for joint, values in zip(JOINTS, pose, strict=True)}
            for pose in VALUES.tolist()]


def listed(key, point, name=str):
    """A list of lists of points with a name."""
    return [[{key: name(joint), **value} for joint, value in frame.items()]
            for frame in frames(point)]


def read(path, data, **options):
    path.write_text(json.dumps(data))
    source = NamedJSON(path, strict=True, max_gap=0, **options)
    return [ann for ann, _ in source], source


def check(ann, scores=True):
    np.testing.assert_allclose(ann['keypoint'][0], VALUES[..., :2], rtol=2e-3)
    expected = VALUES[..., 2] if scores else np.ones(VALUES.shape[:2])
    np.testing.assert_allclose(ann['keypoint_score'][0], expected, atol=1e-3)


def xyc(x, y, c):
    return dict(x=x, y=y, confidence=c)


@pytest.mark.parametrize('data', [
    frames(lambda *values: values), frames(xyc), frames(xyc, str.upper), frames(xyc, camel),
    dict(fps=25, frames=[dict(frame=t, joints=frame) for t, frame in enumerate(frames(xyc))]),
    {f'frame_{t}': frame for t, frame in enumerate(frames(xyc))},
    [[dict(score=.9, keypoints=frame)] for frame in listed(  # MoveNet
        'name', lambda x, y, c: dict(x=x, y=y, score=c))],
    [dict(pose=dict(score=.9, keypoints=frame)) for frame in listed(  # PoseNet
        'part', lambda x, y, c: dict(position=dict(x=x, y=y), score=c), camel)],
    [dict(frame=t, people=[dict(bbox=[1, 2, 3, 4], points=frame[::-1])])
     for t, frame in enumerate(listed('joint', xyc))]])
def test_forms_are_read_by_auto(tmp_path, data):
    path = tmp_path / 'walk.json'
    (ann, ), source = read(path, data)
    assert resolve(path).source == 'named_json'
    check(ann)
    assert 'the order of the joints is that of their names in the file' in source.notes
    assert ann.get('fps') == (25 if 'fps' in data else None)


def test_points_without_score_and_missing_ones(tmp_path):
    data = frames(lambda x, y, c: [x, y])
    del data[3]['left_knee']
    data[4]['nose'] = [None, None]
    (ann, ), _ = read(tmp_path / 'a.json', data)
    assert np.argwhere(ann['keypoint_score'][0] == 0).tolist() == [[3, 13], [4, 0]]
    ann['keypoint'][0][3, 13], ann['keypoint'][0][4, 0] = VALUES[3, 13, :2], VALUES[4, 0, :2]
    ann['keypoint_score'][:] = 1
    check(ann, scores=False)


@pytest.mark.parametrize('up', [True, False])
def test_y_of_apple_vision_is_turned_if_it_points_up(tmp_path, up):
    def point(x, y, c):
        y = y / SIZE[0]
        return dict(x=x / SIZE[1], y=1 - y if up else y, confidence=c)

    (ann, ), source = read(tmp_path / 'a.json', dict(
        width=SIZE[1], height=SIZE[0], frames=frames(point, vision)))
    check(ann)
    assert ('y of Apple Vision points up and is turned' in source.notes) == up


def test_files_of_a_frame_each_are_a_video(tmp_path):
    write(tmp_path, {f'walk/{t + 5:04d}.json': json.dumps(frame).encode()
                     for t, frame in enumerate(frames(xyc))})
    assert resolve(tmp_path).source == 'named_json'
    (ann, _), = NamedJSON(tmp_path, strict=True)
    assert ann['frame_inds'].tolist() == list(range(5, 17))
    check(ann)


def test_lines_are_frames(tmp_path):
    (tmp_path / 'a.jsonl').write_text('\n'.join(map(json.dumps, frames(xyc))))
    (ann, _), = NamedJSON(tmp_path / 'a.jsonl', strict=True)
    check(ann)


def test_scores_are_numbers_in_any_form(tmp_path):
    data = frames(lambda x, y, c: dict(x=x, y=y, visibility=str(c)))
    data[0]['nose']['visibility'], data[1]['nose']['visibility'] = True, -.1
    data[2]['nose']['visibility'], data[3]['nose']['visibility'] = None, float('nan')
    (ann, ), _ = read(tmp_path / 'a.json', data)
    np.testing.assert_array_equal(ann['keypoint_score'][0, :4, 0], [1, 0, 1, 0])
    np.testing.assert_allclose(ann['keypoint_score'][0, :, 1:], VALUES[:, 1:, 2], atol=1e-3)


def test_positions_in_3d_beside_those_in_pixels_are_no_person(tmp_path):
    data = [[dict(keypoints=frame, keypoints3D=[dict(point, z=1) for point in frame])]
            for frame in listed('name', xyc)]
    (ann, ), _ = read(tmp_path / 'a.json', data)
    check(ann)


def test_persons_by_number_are_no_frames(tmp_path):
    both = frames(lambda x, y, c: [x, y])[:1] + frames(lambda x, y, c: [x + 300, y])[:1]
    (ann, ), _ = read(tmp_path / 'a.json', {f'person_{i}': one for i, one in enumerate(both)})
    assert ann['keypoint'].shape == (2, 1, 17, 2)


@pytest.mark.parametrize(('data', 'message'), [
    ([dict(frame=t, name=joint, **point) for t, frame in enumerate(frames(xyc))
      for joint, point in frame.items()], 'found 204 points with 17 names in a list, expected .*'
     'rows of a table as CSV are for the source table'),
    (dict(tracks={'1': [dict(frame=t, joints=frame) for t, frame in enumerate(frames(xyc))]}),
     'found frame 0 inside of one frame'),
    ({f'{i}': [dict(frame=t, joints=frame) for t, frame in enumerate(frames(xyc))]
      for i in (1, 2)}, 'found frame 0 inside of frame 1')])
def test_points_of_several_frames_are_not_taken_for_one(tmp_path, data, message):
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path / 'a.json', data)
    assert resolve(tmp_path / 'a.json').source == 'named_json'


@pytest.mark.parametrize(('data', 'message'), [
    ([{f'j{i}': [1, 2] for i in range(900)}, *[{'nose': [1, 2], 'neck': [1, 2], 'hip': [1, 2]}]
      * 500], 'found 903 names'),
    (frames(lambda x, y, c: [x, y, 50.]), 'joints: found ValueError: a point .* no score of 0'),
    (frames(xyc, lambda name: f'p{JOINTS.index(name)}'), 'names of joints: found p0 p1.*--map'),
    ([1, 2, 3], 'joints: found 0 names, expected joints by name'),
    (frames(lambda x, y, c: [x / 999, y / 999]), 'coordinates of 0 to 1.*--img-shape')])
def test_faults_are_named(tmp_path, data, message):
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path / 'a.json', data)
