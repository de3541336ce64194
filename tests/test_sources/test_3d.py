"""Recordings of 3D joints through virtual cameras: NW-UCLA and UTKinect."""
import json
import runpy
import sys
import warnings
import zipfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.datasets import MotionDataset
from mofm.keypoints import CameraRange
from mofm.sources import NWUCLA, UTKinect, UTKinectUntrimmed

TOOL = Path(__file__).resolve().parents[2] / 'tools/data/prepare.py'
FRONT = CameraRange(distance=(3, 3), height=(0, 0), yaw=(0, 0), pitch=(0, 0), roll=(0, 0),
                    focal=(.65, .65))
BOTH = [NWUCLA, UTKinect, UTKinectUntrimmed]

# A person of Kinect v1's 20 joints who faces the sensor, in meters; left has the smaller x.
LIMB = np.array([[-.2, .5, 0], [-.25, .25, 0], [-.27, .02, 0], [-.28, -.05, 0], [-.1, 0, 0],
                 [-.12, -.45, 0], [-.12, -.85, 0], [-.14, -.9, -.1]])
BODY = np.concatenate([[[0, 0, 0], [0, .1, 0], [0, .5, 0], [0, .7, 0]], LIMB[:4],
                       LIMB[:4] * [-1, 1, 1], LIMB[4:], LIMB[4:] * [-1, 1, 1]]) + [0, 0, 2.5]


def walk(frames=30):
    """(T, 20, 3) meters, a step to the side per frame."""
    return BODY + .01 * np.arange(frames)[:, None, None] * [1, 0, 0]


def ucla(joints=None, **changes):
    """Bytes of a file of NW-UCLA."""
    joints = walk() if joints is None else joints
    return json.dumps(dict(file_name='a', label=1, skeletons=np.array(joints).tolist(),
                           **changes)).encode()


def utkinect(joints=None, frames=None):
    """Bytes of a file of UTKinect, every fourth frame of 100, 104, ..."""
    joints = walk() if joints is None else joints
    frames = 100 + 4 * np.arange(len(joints)) if frames is None else frames
    return '\n'.join(' '.join([str(n), *(f'{v:.6f}' for v in row.ravel())])
                     for n, row in zip(frames, joints, strict=True)).encode()


LABELS = (b's01_e01\nwalk: 100 112 \nsitDown:  116 128\n\ncarry: NaN NaN\npull: 160 180\n'
          b'push: 172 190')
NATIVE = {
    NWUCLA: {'all_sqe/a03_s01_e01_v03.json': ucla(), 'split.json': b'{}'},
    UTKinect: {'joints/joints_s01_e01.txt': utkinect(), 'joints/actionLabel.txt': LABELS},
}
NATIVE[UTKinectUntrimmed] = NATIVE[UTKinect]


def archive(path, files, name='data.zip'):
    with zipfile.ZipFile(path / name, 'w') as out:
        for member, content in files.items():
            out.writestr(member, content)
    return path / name


def same(a, b):
    return a['frame_dir'] == b['frame_dir'] and all(
        np.array_equal(a[k], b[k]) for k in ('keypoint', 'keypoint_score'))


# ------------------------------------------------------------------------------------ real data
@pytest.fixture(scope='module')
def real(real_data):
    def read(reader, name, **kwargs):
        source = reader(real_data(name), strict=True, **kwargs)
        out = list(source)
        assert source.problems == []
        assert not any('heads are above feet in few' in note for note in source.notes)
        return out

    return read


@pytest.fixture(scope='module')
def ucla_front(real):
    return real(NWUCLA, 'nw_ucla.zip', cameras=FRONT)


@pytest.fixture(scope='module')
def utkinect_front(real):
    return real(UTKinectUntrimmed, 'utkinect.zip', cameras=FRONT)


def test_ucla_has_published_counts_and_split(ucla_front, real_data):
    assert len(ucla_front) == 1484
    assert sum(ann['total_frames'] for ann, _ in ucla_front) == 58534
    split = defaultdict(set)
    for ann, (name, *_) in ucla_front:
        split[name].add(ann['frame_dir'][:-3])
    with zipfile.ZipFile(real_data('nw_ucla.zip')) as zipped:
        official = json.loads(zipped.read('split.json'))
        for ann, _ in ucla_front[::100]:
            raw = json.loads(zipped.read(f'all_sqe/{ann["frame_dir"][:-3]}.json'))
            assert len(raw['skeletons']) == ann['total_frames']
    assert split['train'] == set(official['train_views_1_2'])
    assert len(split['train']) == 1020
    assert split['test'] == set(official['test_view_3'])
    assert len(split['test']) == 464


def test_ucla_lost_joints_are_missing(ucla_front, real_data):
    """Two frames have joints at the origin, and others between it and the person."""
    missing = {ann['frame_dir']: np.argwhere(ann['keypoint_score'][0] == 0)
               for ann, _ in ucla_front if not ann['keypoint_score'][..., 5:].all()}
    assert missing.keys() == {'a04_s01_e01_v01_v0', 'a04_s04_e02_v01_v0'}
    for name, frame in (('a04_s01_e01_v01', 34), ('a04_s04_e02_v01', 45)):
        lost = missing[f'{name}_v0']
        lost = lost[~np.isin(lost[:, 1], [1, 2, 3, 4])]  # Kinect has no eyes and ears
        assert set(lost[:, 0]) == {frame}
        with zipfile.ZipFile(real_data('nw_ucla.zip')) as zipped:
            joints = np.array(json.loads(zipped.read(f'all_sqe/{name}.json'))['skeletons'])
        columns = [3, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18]
        distance = np.linalg.norm(joints[frame, columns], axis=-1)
        np.testing.assert_array_equal(np.array([0, *range(5, 17)])[distance < .8], lost[:, 1])


def test_utkinect_has_published_counts_and_splits(utkinect_front, real):
    assert len(utkinect_front) == 20
    assert sum(ann['total_frames'] for ann, _ in utkinect_front) == 15318
    clips = real(UTKinect, 'utkinect.zip', cameras=FRONT)
    assert len(clips) == 199  # one interval is NaN
    for ann, (name, *_) in utkinect_front + clips:
        assert name == ('train' if int(ann['frame_dir'][1:3]) % 2 else 'test')
    count = Counter(UTKinect.classes[ann['label']] for ann, _ in clips)
    assert count.pop('carry') == 19
    assert set(count.values()) == {20}
    assert 's10_e02_carry_v0' not in {ann['frame_dir'] for ann, _ in clips}


def test_utkinect_rows_have_label_of_their_interval(utkinect_front, real_data):
    """Read from the two files in another way: by frame number, last interval first."""
    with zipfile.ZipFile(real_data('utkinect.zip')) as zipped:
        lines = zipped.read('joints/actionLabel.txt').decode().split('\n')
        for ann, _ in utkinect_front[::3]:
            recording = ann['frame_dir'][:-3]
            start = [line.strip() for line in lines].index(recording) + 1
            intervals = []
            for line in lines[start:start + 10]:
                action, span = line.split(':')
                intervals.append((*map(float, span.split()), action))
            text = zipped.read(f'joints/joints_{recording}.txt').decode().splitlines()
            numbers = sorted({int(line.split()[0]) for line in text})
            assert len(numbers) == ann['total_frames'] < len(text)
            for number, label in zip(numbers, ann['frame_label'], strict=True):
                inside = [i for i in intervals if i[0] <= number <= i[1]]
                expected = UTKinect.classes.index(max(inside)[2]) if inside else -1
                assert label == expected


@pytest.mark.parametrize('clips', ['ucla_front', 'utkinect_front'])
def test_kinect_people_stand_upright_and_left_is_their_left(clips, request):
    """From the sensor's side: heads above feet, left on the image's right, 1.3 m to 1.7 m."""
    left, lean, size = [], [], []
    for ann, _ in request.getfixturevalue(clips):
        keypoint = ann['keypoint'][0].astype(np.float64)
        left.append((keypoint[:, 5, 0] > keypoint[:, 6, 0]).mean())
        axis = keypoint[:, 0] - keypoint[:, [15, 16]].mean(1)
        standing = -axis[:, 1] > .9 * np.percentile(-axis[:, 1], 95)
        lean.append(np.rad2deg(np.arctan2(axis[standing, 0], -axis[standing, 1])))
        size.append(np.median(-axis[:, 1]))
    assert np.mean(left) > .95
    assert abs(np.median(np.concatenate(lean))) < 2
    meters = np.median(size) * 3 / (.65 * 1920)
    assert 1.3 < meters < 1.7


@pytest.mark.parametrize(('reader', 'name'), [(NWUCLA, 'nw_ucla.zip'),
                                          (UTKinectUntrimmed, 'utkinect.zip')])
def test_kinect_people_from_the_side_do_not_lean(real, reader, name):
    """The sensors look down by 8 to 17 degrees, which the readers undo."""
    lean = defaultdict(list)
    for ann, _ in real(reader, name, cameras=replace(FRONT, yaw=(90, 90))):
        keypoint = ann['keypoint'][0].astype(np.float64)
        axis = keypoint[:, [5, 6]].mean(1) - keypoint[:, [15, 16]].mean(1)
        standing = -axis[:, 1] > .9 * np.percentile(-axis[:, 1], 95)
        sensor = ann['frame_dir'][12:15] if reader is NWUCLA else ''
        lean[sensor] += np.rad2deg(np.arctan2(axis[standing, 0], -axis[standing, 1])).tolist()
    for angles in lean.values():
        assert abs(np.median(angles)) < 4


def test_utkinect_people_throw_with_the_right_hand(real):
    faster = []
    for ann, _ in real(UTKinect, 'utkinect.zip', cameras=FRONT):
        if UTKinect.classes[ann['label']] == 'throw':
            keypoint = ann['keypoint'][0].astype(np.float64)
            speed = np.linalg.norm(np.diff(keypoint[:, [9, 10]], axis=0), axis=-1).max(0)
            faster.append(speed[1] > speed[0])
    assert np.mean(faster) > .7


def test_utkinect_people_stay_in_the_image(real):
    for ann, _ in real(UTKinectUntrimmed, 'utkinect.zip', views=2):
        keypoint, seen = ann['keypoint'], ann['keypoint_score'] > 0
        inside = ((keypoint > 0) & (keypoint < [1920, 1080])).all(-1)
        assert inside[seen].mean() > .9


# --------------------------------------------------------------------------------------- cameras
@pytest.mark.parametrize('reader', BOTH)
@pytest.mark.parametrize('noise', [False, True])
def test_kinect_view_depends_on_seed_name_and_number_only(tmp_path, reader, noise):
    path = archive(tmp_path, NATIVE[reader])
    one = list(reader(path, noise=noise))
    three = list(reader(path, noise=noise, views=3))
    assert len(three) == 3 * len(one) == len(reader(path, views=3)) > 0
    assert [ann['frame_dir'][-3:] for ann, _ in three[:3]] == ['_v0', '_v1', '_v2']
    for (a, split_a), (b, split_b) in zip(one, three[::3], strict=True):
        assert same(a, b)
        assert split_a == split_b
        assert a.get('frame_label') is b.get('frame_label') or (
            a['frame_label'] == b['frame_label']).all()
    assert not np.array_equal(three[0][0]['keypoint'], three[1][0]['keypoint'])
    assert not same(one[0][0], next(iter(reader(path, noise=noise, seed=1)))[0])
    more = {**NATIVE[reader], 'all_sqe/a01_s01_e01_v01.json': ucla(),
            'joints/joints_s00_e01.txt': utkinect(),
            'joints/actionLabel.txt': b's00_e01\n' + LABELS}
    again = [ann for ann, _ in reader(archive(tmp_path, more, 'more.zip'), noise=noise)]
    assert any(same(one[0][0], ann) for ann in again)


@pytest.mark.parametrize('keep_3d', [False, True])
def test_people_who_do_not_stand_along_y_are_noted_with_the_axis(tmp_path, keep_3d):
    """Upside down, lying along z, and as they should be."""
    for turn, words in (([1, 1, 1], None), ([1, -1, 1], 'in most along -y'), ('zy', 'along z')):
        around = walk() - [0, 0, 2.5]
        joints = [0, 0, 2.5] + (around[..., [0, 2, 1]] if turn == 'zy' else around * turn)
        (tmp_path / 'a03_s01_e01_v01.json').write_bytes(ucla(joints))
        source = NWUCLA(tmp_path, strict=True, keep_3d=keep_3d)
        assert len(list(source)) == 1
        notes = ' / '.join(source.notes)
        assert ('heads are above feet in few frames' in notes) == (words is not None)
        assert words is None or words in notes


def test_ucla_joints_behind_the_camera_are_missing_and_outside_the_image_kept(tmp_path):
    joints = walk(3)
    joints[0, 6] += [9, 0, 0]  # left wrist far to the side
    joints[1, 6, 2] = -9  # behind
    joints[2, 6] = 0
    path = archive(tmp_path, {'a01_s01_e01_v01.json': ucla(joints)})
    (ann, _), = NWUCLA(path, cameras=FRONT)
    assert ann['keypoint_score'][0, :, 9].tolist() == [1, 0, 0]
    assert ann['keypoint'][0, 0, 9, 0] < 0
    assert not ann['keypoint'][0, 1:, 9].any()
    assert ann['keypoint_score'][0, :, 1:5].max() == 0  # Kinect has neither eyes nor ears
    assert ann['keypoint_score'].sum() == 3 * 13 - 2


def test_utkinect_joints_far_outside_the_image_are_missing(tmp_path):
    joints = walk(3)
    joints[1, 6] = 90, 0, -.2  # just in front of the camera and far to the side
    files = {'joints_s01_e01.txt': utkinect(joints), 'actionLabel.txt': b's01_e01'}
    (ann, _), = UTKinectUntrimmed(archive(tmp_path, files), cameras=FRONT, strict=True)
    missing = np.argwhere(ann['keypoint_score'][0][:, [0, *range(5, 17)]] == 0)
    assert missing.tolist() == [[1, 5]]  # the left wrist
    assert not ann['keypoint'][0, 1, 9].any()


def test_ucla_noise_moves_and_misses_joints(tmp_path):
    path = archive(tmp_path, {'a01_s01_e01_v01.json': ucla(walk(400))})
    (exact, _), = NWUCLA(path)
    (noisy, _), = NWUCLA(path, noise=True)
    missed = (noisy['keypoint_score'] == 0) & (exact['keypoint_score'] > 0)
    assert .002 < missed[..., [0, *range(5, 17)]].mean() < .2
    assert not noisy['keypoint_score'][..., 1:5].any()
    assert len(np.unique(noisy['keypoint_score'])) > 100


@pytest.mark.parametrize('kwargs', [dict(views=0), dict(seed=-1)])
def test_ucla_refuses_bad_views_and_seed(tmp_path, kwargs):
    with pytest.raises(ValueError, match='views=.*seed='):
        NWUCLA(archive(tmp_path, NATIVE[NWUCLA]), **kwargs)


# ---------------------------------------------------------------------------------------- labels
def test_utkinect_intervals_become_row_labels_and_clips(tmp_path):
    path = archive(tmp_path, NATIVE[UTKinect])
    (ann, _), = UTKinectUntrimmed(path)
    walk_, sit, push, pull = (UTKinect.classes.index(n) for n in ('walk', 'sitDown', 'push',
                                                                 'pull'))
    expected = [walk_] * 4 + [sit] * 4 + [-1] * 7 + [pull] * 3 + [push] * 5 + [-1] * 7
    assert ann['frame_label'].tolist() == expected
    assert ann['label'] == 0
    clips = {ann['frame_dir']: ann for ann, _ in UTKinect(path)}
    assert {name: clip['total_frames'] for name, clip in clips.items()} == {
        's01_e01_walk_v0': 4, 's01_e01_sitDown_v0': 4, 's01_e01_pull_v0': 6,
        's01_e01_push_v0': 5}
    assert clips['s01_e01_push_v0']['label'] == push


def test_utkinect_repeated_frames_are_dropped(tmp_path):
    joints, frames = walk(6), [4, 8, 8, 12, 12, 16]
    files = {'joints_s01_e01.txt': utkinect(joints, frames), 'actionLabel.txt': b's01_e01'}
    clean = {**files, 'joints_s01_e01.txt': utkinect(joints[[0, 1, 3, 5]], [4, 8, 12, 16])}
    (a, _), = UTKinectUntrimmed(archive(tmp_path, files), cameras=FRONT)
    (b, _), = UTKinectUntrimmed(archive(tmp_path, clean, 'clean.zip'), cameras=FRONT)
    assert a['total_frames'] == 4
    assert same(a, b)


@pytest.mark.parametrize('where', ['data/joints', 'data', ''])
def test_utkinect_label_file_is_found_inside_or_beside(tmp_path, where):
    (tmp_path / 'data/joints').mkdir(parents=True)
    (tmp_path / 'data/joints/joints_s01_e01.txt').write_bytes(utkinect())
    (tmp_path / where / 'actionLabel.txt').write_bytes(LABELS)
    assert len(list(UTKinect(tmp_path / 'data'))) == 4
    path = archive(tmp_path, {'joints_s01_e01.txt': utkinect()})
    if not where:
        assert len(list(UTKinect(path))) == 4


def test_utkinect_without_label_file_names_it(tmp_path):
    path = archive(tmp_path, {'joints_s01_e01.txt': utkinect()})
    with pytest.raises(AnnotationError, match='data.zip: found no actionLabel.txt'):
        UTKinect(path)


@pytest.mark.parametrize(('labels', 'line'), [
    (b's01_e01\njuggle: 1 2', 2), (b'walk: 1 2', 1), (b's01_e01\nwalk: 1', 2),
    (b's01_e01\n\nwalk: 5 2', 3), (b's01_e01\nwalk: a b', 2), (b'\xff\xfe', 1)])
def test_utkinect_bad_label_line_is_named(tmp_path, labels, line):
    path = archive(tmp_path, {**NATIVE[UTKinect], 'joints/actionLabel.txt': labels})
    with pytest.raises(AnnotationError, match=f'actionLabel.txt: line {line}: found'):
        UTKinect(path)


# ------------------------------------------------------------------------------------- bad files
FAR = walk()
FAR[3, 4] = 1e9, 0, 2
BAD = [
    (NWUCLA, 'a01_s01_e00_v01.json', ucla()[:500], 'skeletons', 'JSON'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'', 'skeletons', 'JSON'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'[' * 100000, 'skeletons', 'JSON'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'\xff\xfe\x00', 'skeletons', 'JSON'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'{"label": 1}', 'skeletons', 'this field'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'{"skeletons": []}', 'skeletons', 'at least 1 frame'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'{"skeletons": 3}', 'skeletons', 'at least 1 frame'),
    (NWUCLA, 'a01_s01_e00_v01.json', b'{"skeletons": [[1], [1, 2]]}', 'skeletons', 'unequal'),
    (NWUCLA, 'a01_s01_e00_v01.json', ucla(walk()[:, :19]), 'skeletons', r'\(30, 19, 3\)'),
    (NWUCLA, 'a01_s01_e00_v01.json', ucla(walk().astype(str)), 'skeletons', 'no numbers'),
    (NWUCLA, 'a01_s01_e00_v01.json', ucla(FAR), 'skeletons', 'meters below'),
    (NWUCLA, 'a01_s01_e00_v01.json', b' ' * (2**22 + 1), 'file', 'usual size'),
    (NWUCLA, 'a07_s01_e00_v01.json', ucla(), 'name', 'a07_s01_e00_v01'),
    (NWUCLA, 'a01_s01_e00_v04.json', ucla(), 'name', 'view 1, 2 or 3'),
    (UTKinect, 'joints_s01_e02.txt', utkinect(), 'actionLabel.txt', 'no recording s01_e02'),
    (UTKinect, 'joints_x.txt', utkinect(), 'name', 'joints_sXX_eYY'),
    (UTKinect, 'joints_s02_e01.txt', b'', 'rows', 'no text'),
    (UTKinect, 'joints_s02_e01.txt', utkinect()[:-12], 'rows', 'columns'),
    (UTKinect, 'joints_s02_e01.txt', utkinect(walk()[:, :19]), 'rows', '58 numbers'),
    (UTKinect, 'joints_s02_e01.txt', b'100 a b', 'rows', 'a'),
    (UTKinect, 'joints_s02_e01.txt', b'\xff\xfe\x00', 'rows', '61 numbers'),
    (UTKinect, 'joints_s02_e01.txt', utkinect(walk() * np.nan), 'rows', 'values such as nan'),
    (UTKinectUntrimmed, 'joints_s02_e01.txt', utkinect(FAR), 'rows', 'meters below'),
]


@pytest.mark.parametrize('case', range(len(BAD)))
def test_kinect_bad_file_is_skipped_with_its_reason(tmp_path, case):
    reader, name, content, field, words = BAD[case]
    files = {**NATIVE[reader], name: content}
    if reader is not NWUCLA:
        files['joints/actionLabel.txt'] = LABELS + b'\ns02_e01\nwalk: 100 140\nsitDown: 1 2'
    path = archive(tmp_path, files)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        source = reader(path)
        good = list(source)
    assert len(good) == (4 if reader is UTKinect else 1)
    assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=rf'(?s){name}: {field}: found .*({words})'):
        list(reader(path, strict=True))


# ------------------------------------------------------------------------------------------ tool
def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['prepare.py', *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name='__main__')


@pytest.mark.parametrize(('name', 'count', 'extra'), [
    ('nw_ucla', 3, ['--noise']), ('utkinect', 12, []), ('utkinect_untrimmed', 3, ['--seed', 3])])
def test_prepare_writes_kinect_file_that_dataset_reads(
        tmp_path, monkeypatch, capsys, name, count, extra):
    reader = dict(nw_ucla=NWUCLA, utkinect=UTKinect, utkinect_untrimmed=UTKinectUntrimmed)[name]
    path, out = archive(tmp_path, NATIVE[reader]), tmp_path / 'out.pkl'
    run_tool(monkeypatch, name, path, out, '--views', 3, '--yaw', -60, 60, *extra)
    assert f'{count} clips' in capsys.readouterr().out
    data = load_annotations(out)
    expected = [ann for ann, _ in reader(path, views=3, cameras=CameraRange(yaw=(-60, 60)),
                                         noise='--noise' in extra, seed=3 * ('--seed' in extra))]
    assert all(map(same, data['annotations'], expected))
    assert len(expected) == count
    assert data['metainfo']['classes'] == list(reader.classes)
    if name == 'utkinect_untrimmed':
        np.testing.assert_array_equal(data['annotations'][0]['frame_label'],
                                      expected[0]['frame_label'])
    split = 'test' if name == 'nw_ucla' else 'train'
    assert len(MotionDataset(str(out), split=split)) == count


def test_prepare_refuses_camera_options_of_2d_sources(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, 'penn_action', tmp_path, tmp_path / 'a.pkl', '--views', 2)
    assert 'unrecognized arguments: --views' in capsys.readouterr().err


@pytest.mark.parametrize(('source', 'options', 'words'), [
    ('nw_ucla', ['--yaw', 60, -60], 'yaw: found'), ('nw_ucla', ['--views', 0], 'views=0'),
    ('ubnormal', ['--gt', 'gt.zip'], 'gt=gt.zip and masks=None')])
def test_prepare_names_bad_camera_option(tmp_path, monkeypatch, source, options, words):
    path, out = archive(tmp_path, NATIVE[NWUCLA]), tmp_path / 'a.pkl'
    with pytest.raises(SystemExit, match=f'error: .*{words}'):
        run_tool(monkeypatch, source, path, out, *options)
    assert not out.exists()
