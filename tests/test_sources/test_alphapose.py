"""AlphaPose: every output format, and real files."""

import json
import zipfile

import numpy as np
import pytest

from mofm.sources.pose_programs.alphapose import AlphaPose
from mofm.structures import convert
from tests.test_sources.native_files.pose_detectors import alphapose, alphapose_cmu, dump, people

VALUES = people(frames=12, persons=2)


def write(root, **files):
    for name, data in files.items():
        path = root / name.replace('__', '/').replace('_json', '.json').replace('_results',
                                                                               '-results')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else dump(data))
    return root


def read(root, **kwargs):
    return [ann for ann, _ in AlphaPose(root, strict=True, **kwargs)]


def by_number(anns, frames=12):
    """(M, T, 17, 3) of tracks."""
    assert all(a['total_frames'] == frames for a in anns)
    return np.concatenate([np.concatenate([a['keypoint'], a['keypoint_score'][..., None]], -1)
                           for a in anns])


def by_place(anns, frames=12):
    """The same from left to right."""
    found = by_number(anns, frames)
    return found[np.argsort(found[:, 0, 5, 0])]


def in_half(values):
    return values.transpose(1, 0, 2, 3).astype(np.float16)


@pytest.mark.parametrize('idx', [
    lambda t, m: [0.], lambda t, m: [[0.], [0.]] if t % 3 else [0.], lambda t, m: None,
    lambda t, m: [[4.], [5.]], lambda t, m: None if t == 5 else m])
def test_alphapose_untracked_poses_become_tracks(tmp_path, idx):
    """Frames in numerical order, 10 after 9; persons keep their place in spite of the shuffle."""
    data = alphapose(VALUES, idx)
    np.random.default_rng(0).shuffle(data)
    anns = read(write(tmp_path, walk_json=data), tracks=True)
    np.testing.assert_array_equal(by_place(anns), in_half(VALUES))
    assert [a['track_id'] for a in anns] == [0, 1]


@pytest.mark.parametrize('idx', [
    lambda t, m: m + 3, lambda t, m: m + 3., lambda t, m: [m + 3.],
    lambda t, m: [[m + 3.], [m + 3]]])
def test_alphapose_tracks_keep_their_ids(tmp_path, idx):
    crossed = VALUES.copy()
    crossed[6:] = VALUES[6:, ::-1]  # OKS alone would take them for each other
    anns = read(write(tmp_path, walk_json=alphapose(crossed, idx)), tracks=True)
    assert [a['track_id'] for a in anns] == [3, 4]
    np.testing.assert_array_equal(by_number(anns), in_half(crossed))


@pytest.mark.parametrize('form', ['cmu', 'open'])
def test_alphapose_cmu_and_open_formats_equal_the_default(tmp_path, form):
    """COCO-17 comes back from the 18 joints; the separate files hold the same."""
    data = alphapose_cmu(VALUES, form)
    whole = by_place(read(write(tmp_path / 'a', walk_json=data), tracks=True))
    np.testing.assert_array_equal(whole, in_half(VALUES))
    for name, item in data.items():
        write(tmp_path / 'b', **{f'walk__sep-json__{name[:-4]}_json': item})
    for root, name in (('b', 'walk'), ('b/walk', 'walk'), ('b/walk/sep-json', 'walk')):
        anns = read(tmp_path / root, tracks=True)
        assert {a['clip'] for a in anns} == {name}
        np.testing.assert_array_equal(by_place(anns), whole)
    write(tmp_path / 'b', walk__alphapose_results_json=data)
    assert AlphaPose(tmp_path / 'b').files == ['walk/alphapose-results.json']


@pytest.mark.parametrize('joints', [17, 26, 133, 136])
def test_alphapose_larger_skeletons_give_their_coco_joints(tmp_path, joints):
    """Halpe begins with those of COCO."""
    values = people(joints=joints)
    anns = read(write(tmp_path, walk_json=alphapose(values)), tracks=True)
    np.testing.assert_array_equal(by_place(anns, 6), in_half(values[:, :, :17]))


def test_alphapose_names_videos_by_file_or_folder(tmp_path):
    data = alphapose(VALUES)
    write(tmp_path / 'out', a__alphapose_results_json=data, b__c__alphapose_results_json=data,
          walk_json=data, alphapose_results_json=data)
    assert sorted(a['frame_dir'] for a in read(tmp_path / 'out')) == ['a', 'b/c', 'out', 'walk']
    assert [a['frame_dir'] for a in read(tmp_path / 'out/walk.json')] == ['walk']
    assert [a['frame_dir'] for a in read(tmp_path / 'out/a/alphapose-results.json')] == ['a']
    with zipfile.ZipFile(tmp_path / 'packed.zip', 'w') as archive:
        for file in (tmp_path / 'out').rglob('*.json'):
            archive.write(file, file.relative_to(tmp_path / 'out'))
    assert sorted(a['frame_dir'] for a in read(tmp_path / 'packed.zip')) == [
        'a', 'b/c', 'packed', 'walk']


@pytest.mark.parametrize('joints', [None, []])
def test_alphapose_person_without_joints_is_left_out_with_a_note(tmp_path, joints):
    data = alphapose(VALUES)
    assert data[10]['image_id'] == data[11]['image_id']
    data[10]['keypoints'] = data[11]['keypoints'] = joints
    source = AlphaPose(write(tmp_path, clip_json=data), max_gap=0)
    (ann, _), = source
    expected = in_half(VALUES[..., :2])
    expected[:, 5] = 0
    np.testing.assert_array_equal(by_place([ann])[..., :2], expected)
    assert 'persons without keypoints are left out' in source.notes


@pytest.mark.parametrize('frames', [(1, 3, 4, 2, 1), (2, 1), (1, 2), (1, 5, 1, 5)])
def test_alphapose_videos_of_a_frame_among_longer_ones_stay_videos(tmp_path, frames):
    write(tmp_path, **{f'clip_0{i}_json': alphapose(VALUES[:count])
                       for i, count in enumerate(frames)})
    anns = read(tmp_path)
    assert [a['frame_dir'] for a in anns] == [f'clip_0{i}' for i in range(len(frames))]
    assert [a['total_frames'] for a in anns] == [*frames]
    for ann, count in zip(anns, frames, strict=True):
        np.testing.assert_array_equal(by_place([ann], count)[..., :2],
                                      in_half(VALUES[:count, :, :, :2]))


def test_alphapose_images_of_several_folders_are_several_videos(tmp_path):
    data = alphapose(VALUES, image='cam1/{}.jpg'.format) + alphapose(
        VALUES[:5], image='cam2/f{}.jpg'.format)
    anns = read(write(tmp_path, walk_json=data))
    assert [(a['frame_dir'], a['total_frames']) for a in anns] == [
        ('walk/cam1', 12), ('walk/cam2', 5)]


def test_alphapose_image_names_give_frame_numbers(tmp_path):
    data = alphapose(VALUES, image=lambda t: f'{t + 7 + 2 * (t > 3)}.jpg')
    ann, = read(write(tmp_path / 'a', walk_json=data), max_gap=0)
    assert ann['frame_inds'].tolist() == [*range(7, 11), *range(13, 21)]
    data = alphapose(VALUES, image=lambda t: t + 7 + 2 * (t > 3))  # as written for an evaluation
    same, = read(write(tmp_path / 'b', walk_json=data), max_gap=0)
    np.testing.assert_equal(same, ann)
    data = alphapose(VALUES, image=lambda t: f'2018-07-04T12_08_{t}.07.png')
    source = AlphaPose(write(tmp_path / 'c', walk_json=data))
    (ann, _), = source
    assert any('natural order' in note for note in source.notes)
    assert 'frame_inds' not in ann
    assert ann['total_frames'] == 12
    x = ann['keypoint'][:, :, 0, 0].astype(float)
    assert (np.diff(x) > 0).all()  # they walk to the right


def person(**changes):
    data = alphapose(VALUES)
    data[3].update(changes)
    return data


@pytest.mark.parametrize(('data', 'field'), [
    (b'[{"image_id": ', 'file'), (b'', 'file'), (b'\xff\xfe[]', 'file'),
    ([], 'images'), ({}, 'images'), (5, 'image'), ([5], 'persons'),
    (person(image_id=None), 'image_id'), (person(image_id=4), 'image_id'),
    (person(image_id='/etc/0.jpg'), 'image_id'), (person(image_id='../0.jpg'), 'image_id'),
    (person(image_id=''), 'image_id'), (person(image_id='\ud800/0.jpg'), 'image_id'),
    (person(category_id=2), 'category_id'),
    (person(category_id=True), 'category_id'),
    (person(keypoints='1'), 'keypoints'), (person(keypoints=[1.] * 52), 'keypoints'),
    (person(keypoints=[1.] * 78), 'keypoints'), (person(keypoints=['1'] * 51), 'keypoints'),
    (person(keypoints=[1.] * 50 + [10**400]), 'keypoints'),
    (json.dumps(person(keypoints=[1.] * 51)).replace('1.0,', '1e999,').encode(), 'keypoints'),
    (person(keypoints=[1e300] * 51), 'keypoint'), (person(idx='1'), 'idx'),
    (person(idx=1.5), 'idx'), (person(idx=-1), 'idx'), (person(idx=True), 'idx'),
    (person(idx={}), 'idx'), (person(idx=[[[0.]]]), 'idx'), (person(idx=1e400), 'idx'),
    ({'0.jpg': [5]}, 'image'), ({'0.jpg': {'bodies': 5}}, 'image'),
    ({'0.jpg': {'bodies': [{'joints': [1.] * 51 + [0, 'x', 0]}]}}, 'keypoints'),
    ({'bodies': [{}]}, 'keypoints')])
def test_alphapose_bad_file_is_skipped_and_named(tmp_path, data, field):
    write(tmp_path, walk_json=data, good_json=alphapose(VALUES))
    source = AlphaPose(tmp_path)
    assert [a['frame_dir'] for a, _ in source] == ['good']
    problem, = source.problems
    assert f'walk.json: {field}' in str(problem)


# ------------------------------------------------------------- PoseFlow, files of images, boxes
def poseflow(values, ids, image='{}.jpg'.format):
    """A dict of images, as PoseFlow writes it."""
    return {image(t): [dict(keypoints=pose.ravel().tolist(), scores=2.9, idx=i)
                       for pose, i in zip(frame, ids, strict=True)]
            for t, frame in enumerate(values)}


def test_poseflow_file_keeps_ids(tmp_path):
    data = poseflow(VALUES, [7, 9])
    data['5.jpg'] = []
    (tmp_path / 'walk').mkdir()
    (tmp_path / 'walk/alphapose-results-forvis-tracked.json').write_bytes(dump(data))
    ann, = read(tmp_path, max_gap=0)
    assert ann['frame_dir'] == 'walk'
    assert sorted(ann['track_id'].tolist()) == [7, 9]
    assert ann['keypoint_score'].any(-1).all(0).tolist() == [True] * 5 + [False] + [True] * 6


def test_failing_poseflow_file_is_read(real_data):
    """40 frames, IDs 7 and 9, who walk to each other."""
    folder = real_data('../failing/data/08_poseflow_tracked')
    for anns in (read(folder, tracks=True),
                 read(folder / 'alphapose-results-forvis-tracked.json', tracks=True)):
        assert [ann['track_id'] for ann in anns] == [7, 9]
        np.testing.assert_array_equal(anns[0]['keypoint'][0, :, 0, 0], 200 + 3 * np.arange(40))
        np.testing.assert_array_equal(anns[1]['keypoint'][0, :, 0, 0], 500 - 3 * np.arange(40))


def test_tracked_file_wins_over_the_one_beside_it(tmp_path):
    folder = tmp_path / 'walk'
    folder.mkdir()
    for name, data in (('', alphapose(VALUES)), ('-forvis', poseflow(VALUES, [1, 2])),
                       ('-forvis-tracked', poseflow(VALUES, [7, 9]))):
        (folder / f'alphapose-results{name}.json').write_bytes(dump(data))
    source = AlphaPose(tmp_path)
    (ann, _), = source
    assert sorted(ann['track_id'].tolist()) == [7, 9]
    assert sum('passed over for' in note for note in source.notes) == 1


@pytest.mark.parametrize('number', [float('nan'), None, 'NaN', float('inf')])
def test_missing_numbers_are_missing_joints(tmp_path, number):
    """In frame 5 a joint, in frame 7 the whole second person."""
    data = alphapose(VALUES, _as_ids)
    data[10]['keypoints'][30] = number
    if number != float('inf'):
        data[15]['keypoints'] = [number] * 51
    write(tmp_path, walk_json=data)
    source = AlphaPose(tmp_path, max_gap=0)
    (ann, _), = source
    assert not source.problems
    assert any('are missing' in note for note in source.notes)
    person = ann['track_id'].tolist().index(0)
    missing = ann['keypoint_score'][person] == 0
    assert np.argwhere(missing).tolist() == [[5, 10]]
    absent = ~ann['keypoint_score'][1 - person].any(-1)
    assert np.flatnonzero(absent).tolist() == ([] if number == float('inf') else [7])


def test_alphapose_list_for_each_joint_is_read(tmp_path):
    data = alphapose(VALUES, _as_ids)
    for person in data:
        person['keypoints'] = np.reshape(person['keypoints'], (17, 3)).tolist()
    anns = read(write(tmp_path, walk_json=data), tracks=True)
    np.testing.assert_array_equal(by_number(anns), in_half(VALUES))
    data[3]['keypoints'][2] = [1, 2]
    write(tmp_path, walk_json=data)
    source = AlphaPose(tmp_path)
    assert not list(source)
    assert 'keypoints: found' in str(source.problems[0])


def _as_ids(frame, person):
    return person


def test_failing_file_with_nan_is_read(real_data):
    (ann, ) = read(real_data('../failing/data/13_nan'), max_gap=0)
    assert np.argwhere(ann['keypoint_score'][0] == 0)[:, 0].tolist() == [5]


def test_file_of_infinite_numbers_is_refused(tmp_path):
    data = alphapose(VALUES)
    for person in data:
        person['keypoints'] = [float('inf')] * 51
    write(tmp_path, walk_json=data)
    source = AlphaPose(tmp_path)
    assert not list(source)
    assert 'keypoints: found NaN or infinite' in str(source.problems[0])


def test_alphapose_boxes_are_kept(tmp_path):
    ann, = read(write(tmp_path, walk_json=alphapose(VALUES, lambda t, m: m + 1)))
    order = np.argsort(ann['track_id'])
    low, high = VALUES[..., :2].min(2), VALUES[..., :2].max(2)
    expected = np.concatenate([low, high], -1).transpose(1, 0, 2)
    np.testing.assert_allclose(ann['box'][order], expected, atol=.3)


@pytest.mark.parametrize('form', ['list', 'cmu', 'flow'])
def test_alphapose_files_of_an_image_each_are_a_video(tmp_path, form):
    """The number in the names of the files counts, whatever the images are called."""
    for t in range(12):
        frame = VALUES[t:t + 1]
        data = dict(list=alphapose(frame, _as_ids), cmu=alphapose_cmu(frame),
                    flow=poseflow(frame, [0, 1]))[form]
        (tmp_path / f'cam1-{t + 3:03}.json').write_bytes(dump([] if t == 4 else data))
    ann, = read(tmp_path, max_gap=0)
    assert ann['frame_dir'] == 'cam1'
    assert ann['frame_inds'].tolist() == list(range(3, 15))
    assert np.flatnonzero(~ann['keypoint_score'].any((0, 2))).tolist() == [4]


@pytest.mark.parametrize('image', [
    lambda t: f'{6 * t}.jpg', lambda t: f'cam_{5 * t + 2:05}.png', lambda t: 32 * t,
    lambda t: f'{round(t * 100 / 3)}ms.jpg', lambda t: f'frame_{t / 4}.jpg',
    lambda t: f'walk 2020-01-31_23-59-{40 + 2 * t}.jpg' if t < 10 else
    f'walk 2020-02-01_00-00-{2 * t - 20:02}.jpg', lambda t: f'{t:04}-rendered.jpg'])
def test_alphapose_sampled_images_are_a_row_each(tmp_path, image):
    ann, = read(write(tmp_path, walk_json=alphapose(VALUES[:, :1], image=image)))
    assert ann['keypoint'].shape == (1, 12, 17, 2)
    assert 'frame_inds' not in ann
    np.testing.assert_array_equal(ann['keypoint'][0], VALUES[:, 0, :, :2].astype(np.float16))


@pytest.mark.parametrize('layout', ['h36m17', 'kinect25', 'body25b'])
def test_alphapose_list_of_another_order_is_never_read_in_silence(tmp_path, layout):
    values = convert(VALUES[..., :2], VALUES[..., 2], 'coco17', layout)
    values = np.concatenate([values[0], values[1][..., None]], -1)
    write(tmp_path, walk_json=alphapose(values))
    source = AlphaPose(tmp_path)
    assert not list(source)
    assert f'--layout {layout}' in str(source.problems[0])
    found = by_place(read(tmp_path, layout=layout, tracks=True))
    np.testing.assert_array_equal(found[:, :, 5:], in_half(VALUES)[:, :, 5:])


def real(path, name, folder):
    """One file of the zip file, and what it holds."""
    with zipfile.ZipFile(path) as archive:
        content = archive.read(f'{name}.json')
    return write(folder, **{f'{name}_json': content}), json.loads(content)


def test_alphapose_real_untracked_file_keeps_every_person(real_data, tmp_path):
    """2547 persons in 2048 images with time stamps, COCO: every one of them is used."""
    root, data = real(real_data('alphapose_sample.zip'), 'alphapose_coco17_untracked', tmp_path)
    images = sorted({person['image_id'] for person in data})
    assert len(images) == 2048
    assert len(data) == 2547
    anns = read(root, tracks=True, max_gap=0)
    assert sum(a['total_frames'] for a in anns) == 2547
    raw = sorted([images.index(p['image_id']), *np.float16(p['keypoints']).reshape(17, 3)[
        :, :2].ravel().tolist()] for p in data)
    found = sorted([frame, *pose.ravel().tolist()] for a in anns
                   for frame, pose in zip(a['frame_inds'].tolist(), a['keypoint'][0], strict=True))
    assert found == raw
    assert max(a['keypoint_score'].max() for a in anns) == 1  # 1.098 in the file
    assert 15 <= len({a['track_id'] for a in anns}) <= 100  # 15 recordings
    assert anns[0]['img_shape'] == (529, 640)  # joints reach 528.7 and 639.02


def test_alphapose_real_halpe_file_keeps_every_person(real_data, tmp_path):
    """One person in 809 frames, and once a second one."""
    root, data = real(real_data('alphapose_sample.zip'), 'alphapose_halpe26', tmp_path)
    raw = np.array([p['keypoints'] for p in data]).reshape(810, 26, 3)
    frame = np.array([int(p['image_id'][:-4]) for p in data])
    ann, = read(root, max_gap=0)
    assert ann['frame_dir'] == 'alphapose_halpe26'
    assert ann['total_frames'] == 809
    assert 'frame_inds' not in ann
    assert ann['keypoint_score'].any(-1).sum() == 810
    assert ann['keypoint_score'][0].any(-1).sum() >= 807
    once = np.flatnonzero(np.bincount(frame) == 1)
    rows = raw[np.searchsorted(frame, once), :17].astype(np.float16)
    np.testing.assert_array_equal(ann['keypoint'][:, once].astype(float).sum(0), rows[..., :2])
    np.testing.assert_array_equal(ann['keypoint_score'][:, once].max(0), rows[..., 2].clip(0, 1))


def test_alphapose_real_zip_holds_both_videos(real_data):
    """Both files, ten persons at most and gaps filled."""
    first, second = read(real_data('alphapose_sample.zip'))
    assert first['keypoint'].shape == (10, 2048, 17, 2)
    assert second['keypoint'].shape[1:] == (809, 17, 2)
    total = first['keypoint_score'].sum((1, 2), dtype=float)
    assert (np.diff(total) <= 0).all()
