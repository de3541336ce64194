"""NTU RGB+D: bodies, color and depth images, 3D joints, releases, splits."""
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.keypoints import CameraRange
from mofm.sources.data_sets.ntu import NTU60, NTU120, NTU60Joints, NTU120Joints, rank_by_motion
from tests.test_sources.native_files import write
from tests.test_sources.native_files.ntu import ID, NTU_FILES, kinect_body, pair, skeleton, solo

NAME = 'S001C001P001R001A001.skeleton'
MUTUAL = 'S017C002P008R002A050.skeleton'
# Joints of Kinect v2, from 1, behind COCO's: head, shoulders, elbows, wrists, hips, knees, ankles.
COCO = np.array([4, 4, 4, 4, 4, 5, 9, 6, 10, 7, 11, 13, 17, 14, 18, 15, 19]) - 1
FRONT = CameraRange(distance=(3, 3), height=(0, 0), yaw=(0, 0), pitch=(0, 0), roll=(0, 0),
                    focal=(.65, .65))
READERS = [NTU60, NTU120, NTU60Joints, NTU120Joints]


def one(tmp_path, content, reader=NTU60, name=NAME, **kwargs):
    (ann, splits), = reader(write(tmp_path, {name: content}) / name, strict=True, **kwargs)
    return ann


# ---------------------------------------------------------------------------------------- bodies
@pytest.mark.parametrize(('projection', 'column', 'shape'), [('color', 5, (1080, 1920)),
                                                       ('depth', 3, (424, 512))])
def test_ntu_keypoints_are_pixels_of_the_file(tmp_path, projection, column, shape):
    ann = one(tmp_path, solo(), projection=projection)
    pixels = kinect_body(4)[:, COCO, column:column + 2]
    np.testing.assert_allclose(ann['keypoint'][0, 1:], pixels[1:], atol=.5)
    assert not ann['keypoint'][0, 0].any()
    assert not ann['keypoint_score'][0, 0].any()
    assert (ann['keypoint_score'][0, 1:] == 1).all()
    assert ann['img_shape'] == shape
    assert ann['total_frames'] == 4
    assert ann['keypoint'].dtype == ann['keypoint_score'].dtype == np.float16


def test_ntu_bodies_are_told_apart_by_their_ids(tmp_path):
    """Their order in the file changes, and the ids differ by less than a float can tell."""
    assert float(ID) == float(ID + 1)
    ann = one(tmp_path, pair(), name=MUTUAL)
    expected = [kinect_body(4, 2, .5, .1), kinect_body(4, 1, -.5, .02)]  # most motion first
    assert ann['keypoint'].shape == (2, 4, 17, 2)
    np.testing.assert_allclose(ann['keypoint'], np.stack(expected)[:, :, COCO, 5:7], atol=.5)


def test_ntu_body_that_returns_is_missing_in_between(tmp_path):
    a, b = kinect_body(6, 1), kinect_body(6, 2, x=1, motion=.1)
    frames = [{1: a[t], **({2: b[t]} if t in (1, 4) else {})} for t in range(6)]
    ann = one(tmp_path, skeleton(frames))
    assert ann['keypoint_score'].any(-1).sum(1).tolist() in ([2, 6], [6, 2])
    absent = ann['keypoint_score'].any(-1).argmin(0)  # who is absent in each frame
    assert ann['keypoint'][absent[0], [0, 2, 3, 5]].any() == 0


def test_ntu_rank_by_motion_follows_published_rule():
    """2s-AGCN: deviations of x, y and z over the frames and joints of a body, summed."""
    rng = np.random.default_rng(0)
    person = rng.integers(0, 5, 200)
    points = rng.normal(size=(200, 25, 3)) * np.array([1, 5, 2, 4, 3])[person, None, None]
    points[person == 2] = np.nan
    motion = {}
    for number in (0, 1, 3, 4):
        xyz = points[person == number]
        motion[number] = xyz[..., 0].std() + xyz[..., 1].std() + xyz[..., 2].std()
    expected = sorted(motion, key=motion.get, reverse=True)
    assert rank_by_motion(person, points) == expected == [1, 3, 4, 0]


def test_ntu_joint_states_become_scores(tmp_path):
    rows = kinect_body(3)
    rows[1, 4, -1], rows[1, 5, -1] = 1, 0  # left shoulder inferred, left elbow lost
    rows[1, 8, :3] = 0  # right shoulder at the sensor
    rows[1, 9, :3] = np.nan  # right elbow
    rows[1, 10, 5:7] = np.nan  # right wrist outside of what the color image covers
    content = skeleton([{1: r} for r in rows])
    ann = one(tmp_path, content)
    np.testing.assert_array_equal(ann['keypoint_score'][0, 1, [5, 7, 6, 8, 10, 9]],
                                  [.5, 0, 0, 0, 0, 1])
    missing = ann['keypoint_score'][0] == 0
    assert missing.sum() == 4
    assert not ann['keypoint'][0][missing].any()
    depth = one(tmp_path, content, projection='depth')
    assert depth['keypoint_score'][0, 1, 10] == 1
    joints = one(tmp_path, content, NTU60Joints)
    np.testing.assert_array_equal(joints['keypoint_score'][0, 1, [5, 7, 6, 8, 10, 9]],
                                  [1, 0, 0, 0, 1, 1])


# -------------------------------------------------------------------------------- left and right
def test_ntu_unmirrored_person_has_left_on_the_right(tmp_path):
    """Kinect v2 mirrors its images: not there, but in 3D and in the images turned round."""
    side = {}
    for name, reader, kwargs in (('mirrored', NTU60, {}), ('turned', NTU60, dict(unmirror=True)),
                                 ('3d', NTU60Joints, dict(cameras=FRONT))):
        x, y = np.moveaxis(one(tmp_path, solo(), reader, **kwargs)['keypoint'][0, 1:].astype(
            np.float64), -1, 0)
        side[name] = (x[:, [5, 7, 9, 11, 13, 15]] > x[:, [6, 8, 10, 12, 14, 16]]).all()
        assert (y[:, 0] < y[:, 11]).all()
        assert (y[:, 11] < y[:, 15]).all()
    assert side == {'mirrored': False, 'turned': True, '3d': True}


def test_ntu_unmirrored_images_agree_with_3d_joints(tmp_path):
    """Of a person in front of the sensor, a camera there sees what the color image shows."""
    flat = one(tmp_path, pair(), name=MUTUAL, unmirror=True)
    solid = one(tmp_path, pair(), NTU60Joints, MUTUAL, cameras=FRONT)
    a, b = (ann['keypoint'].astype(np.float64).reshape(-1, 2) for ann in (flat, solid))
    for axis in range(2):
        assert np.corrcoef(a[:, axis], b[:, axis])[0, 1] > .98
        assert .5 < a[:, axis].std() / b[:, axis].std() < 2


def test_ntu_both_persons_are_seen_by_one_camera(tmp_path):
    joints = np.stack([kinect_body(4, 2, .5, .1), kinect_body(4, 1, -.5, .02)])[..., :3]
    for view, (ann, _) in enumerate(NTU60Joints(write(tmp_path, {MUTUAL: pair()}), views=2)):
        rng = np.random.default_rng([0, zlib.crc32(MUTUAL[:20].encode()), view])
        camera = CameraRange().sample(rng, joints.reshape(-1, 3).mean(0))
        np.testing.assert_allclose(ann['keypoint'], camera.project(joints[:, :, COCO])[0], atol=.6)
    noisy = one(tmp_path, pair(), NTU60Joints, MUTUAL, noise=True)
    assert noisy['keypoint'].shape == (2, 4, 17, 2) == noisy['keypoint_score'].shape + (2, )
    assert len(np.unique(noisy['keypoint_score'])) > 50


@pytest.mark.parametrize('noise', [False, True])
def test_source_3d_single_person_equals_joints_without_person_axis(tmp_path, noise):
    source = NTU60Joints(write(tmp_path, {NAME: solo()}), noise=noise)
    joints = kinect_body(9)[..., :3]
    a, b = (source._project(dict(frame_dir='a', joints=j), 1) for j in (joints, joints[None]))
    assert a['total_frames'] == b['total_frames'] == 9
    assert np.array_equal(a['keypoint'], b['keypoint'])
    assert a['keypoint'].shape == (1, 9, 17, 2)
    assert np.array_equal(a['keypoint_score'], b['keypoint_score'])


# ----------------------------------------------------------------------- names, releases, splits
@pytest.fixture(scope='module')
def lists(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('lists')
    with zipfile.ZipFile(real_data('ntu_lists.zip')) as archive:
        archive.extractall(folder)
    return {path.name: path for path in folder.rglob('*.txt')}


@pytest.fixture
def sources(tmp_path):
    files = {NAME: solo(), 'S032C001P106R001A120.skeleton': solo()}
    return {reader: reader(write(tmp_path, files)) for reader in READERS}


def test_ntu_class_names_equal_published_list(lists):
    names = lists['label_map_ntu60.txt'].read_text().split('\n')[:60]
    assert list(NTU60.classes) == names == list(NTU120.classes[:60])
    assert len(set(NTU120.classes)) == 120
    assert NTU120.classes[-1].startswith('finger-guessing')
    assert NTU120.classes[111] == 'high-five'


@pytest.mark.parametrize(('reader', 'subjects', 'train'), [(NTU60, 40, 20), (NTU120, 106, 53)])
def test_ntu_half_of_the_subjects_train(sources, reader, subjects, train):
    splits = [sources[reader].header(f'S001C001P{p:03}R001A001.skeleton')[1][0]
              for p in range(1, subjects + 1)]
    assert Counter(splits) == dict(xsub_train=train, xsub_val=subjects - train)


@pytest.mark.parametrize(('reader', 'name', 'label', 'splits'), [
    (NTU60, 'S001C001P001R001A060', 59, ('xsub_train', 'xview_val')),
    (NTU60, 'S002C002P003R002A001', 0, ('xsub_val', 'xview_train')),
    (NTU60Joints, 'S017C003P040R001A010', 9, ('xsub_val', 'xview_train')),
    (NTU120, 'S002C001P103R001A120', 119, ('xsub_train', 'xset_train')),
    (NTU120, 'S031C002P106R001A061', 60, ('xsub_val', 'xset_val')),
    (NTU120Joints, 'S032C003P045R002A106', 105, ('xsub_train', 'xset_train'))])
def test_ntu_name_gives_label_and_splits(sources, reader, name, label, splits):
    header, found = sources[reader].header(f'{name}.skeleton')
    assert header == dict(frame_dir=name, label=label)
    assert found == splits


def test_ntu_missing_samples_have_published_counts(sources, lists):
    """The splits have 40320 / 16560 and 37920 / 18960 samples, of which the published pickles
    lack 229 / 73 and 274 / 28: 40091 / 16487 and 37646 / 18932 are left."""
    first, second = (lists[f'NTU_RGBD{n}_samples_with_missing_skeletons.txt'] for n in ('', 120))
    counts = Counter(split for name in first.read_text().split()
                     for split in sources[NTU60].header(name + '.skeleton')[1])
    assert counts == dict(xsub_train=229, xsub_val=73, xview_train=274, xview_val=28)
    folder = sources[NTU60].path
    missing = {path: NTU120(folder, missing=path).missing for path in (first, second)}
    assert len(missing[first]) == 302
    assert len(missing[second]) == 535
    assert missing[first] < missing[second]
    assert all(1 <= int(name[1:4]) <= 17 for name in missing[first])
    assert all(18 <= int(name[1:4]) <= 32 for name in missing[second] - missing[first])


@pytest.mark.parametrize('reader', READERS)
def test_ntu_missing_samples_are_skipped(tmp_path, lists, reader):
    path = lists['NTU_RGBD120_samples_with_missing_skeletons.txt']
    names = [name + '.skeleton' for name in path.read_text().split()[::50]]
    folder = write(tmp_path, {**dict.fromkeys(names, solo()), NAME: solo()})
    source = reader(folder, missing=path)
    assert [ann['frame_dir'][:20] for ann, _ in source] == [NAME[:20]]
    assert not source.problems
    count = len(names) if reader in (NTU120, NTU120Joints) else sum(n < 'S018' for n in names)
    assert len(list(reader(folder))) == count + 1


def test_ntu60_skips_files_of_ntu120(tmp_path):
    names = 'S017C001P040R001A060', 'S018C001P041R001A001', 'S001C001P001R001A061'
    folder = write(tmp_path, {f'{name}.skeleton': solo() for name in names})
    source = NTU60(folder)
    assert [ann['frame_dir'] for ann, _ in source] == ['S017C001P040R001A060']
    assert source.problems == []
    assert len(NTU120(folder)) == 3
    for name in names[:1]:
        (folder / f'{name}.skeleton').unlink()
    with pytest.raises(AnnotationError, match=r'found no S\*.skeleton file, .* NTU60'):
        NTU60(folder)


def test_ntu_zip_equals_folder(tmp_path):
    folder = write(tmp_path / 'a', NTU_FILES)
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for name, content in NTU_FILES.items():
            archive.writestr(name, content)
    np.testing.assert_equal(list(NTU60(folder)), list(NTU60(tmp_path / 'a.zip')))


# --------------------------------------------------------------------------------------- bad files
def changed(old, new):
    content = solo()
    assert content.count(old)
    return content.replace(old, new, 1)


FIRST = solo().split(b'\r\n')[5]  # of the first joint
TWICE = skeleton([{1: kinect_body(1)[0]}]).split(b'\r\n')
LOST = kinect_body(2) * ([1] * 11 + [0])
FAR, WIDE = kinect_body(2), kinect_body(2)
FAR[1, 3, 2], WIDE[1, 3, 5] = 1e9, 1e9
BAD = [
    (b'', 'line 1', "''.*number of frames"),
    (b'4', 'line 2', 'end of the file.*number of bodies'),
    (b'\xff\xfe\x00', 'file', 'ASCII text'),
    (b'9999999\n0', 'line 1', 'at most 10000'),
    (b'-1', 'line 1', 'number of frames'),
    (b'2\n0\n0', 'bodies', 'none in 2 frames'),
    (b'0', 'bodies', 'none in 0 frames'),
    (solo()[:-20], 'joints', '12 numbers'),
    (b'\n'.join(solo().split(b'\n')[:30]), 'line 31', 'the end of the file'),
    (solo() + b'\n0', 'file', 'lines.*for 4 frames'),
    (changed(b'\r\n25\r\n', b'\r\n24\r\n'), 'line 5', '24 joints.*25'),
    (changed(b'\r\n25\r\n', b'\r\n1e400\r\n'), 'line 5', 'number of joints'),
    (changed(str(ID).encode(), b'7.2e16'), 'line 4', 'id of a body'),
    (changed(b' 0.0339', b''), 'line 4', 'id of a body'),
    (changed(FIRST, FIRST + b' 1'), 'joints', '12 numbers'),
    (changed(FIRST, FIRST.replace(b' ', b' x', 1)), 'joints', '12 numbers'),
    (changed(FIRST, b''), 'joints', '12 numbers'),
    (changed(FIRST, FIRST[:-1] + b'3'), 'joints', 'tracking states'),
    (changed(FIRST, FIRST[:-1] + b'nan'), 'joints', 'tracking states'),
    (changed(FIRST, b'1e400 ' + FIRST.split(b' ', 1)[1]), 'joints', 'infinite'),
    (b'\n'.join([b'1', b'2', *TWICE[2:], *TWICE[2:]]), 'bodies', 'an id twice'),
    (skeleton([{1: rows} for rows in LOST]), 'bodies', 'no tracked joint'),
    (skeleton([{1: rows} for rows in kinect_body(2) * 0]), 'bodies', 'no tracked joint'),
    (skeleton([{1: rows} for rows in FAR]), 'joints', 'meters below'),
    (skeleton([{1: rows} for rows in WIDE]), 'keypoint', 'infinite'),
    (b'0' * (2**25 + 1), 'file', 'usual size')]


@pytest.mark.parametrize('case', range(len(BAD)))
def test_ntu_bad_file_is_skipped_with_its_reason(tmp_path, case):
    content, field, words = BAD[case]
    bad = 'S001C001P001R001A002.skeleton'
    folder = write(tmp_path, {NAME: solo(), bad: content})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for reader in (NTU60, NTU60Joints):
            if content == BAD[-2][0] and reader is NTU60Joints:
                continue  # only the color image is wrong
            source = reader(folder)
            assert len(list(source)) == 1
            assert len(source.problems) == 1
            with pytest.raises(AnnotationError, match=rf'(?s){bad}: {field}: found .*({words})'):
                list(reader(folder, strict=True))


@pytest.mark.parametrize('name', [
    'S001C004P001R001A001', 'S001C001P107R001A001', 'S033C001P001R001A001', 'S1C1P1R1A1',
    'S001C001P001R003A001', 'S001C001P001R001A121', 'S000C001P001R001A001', 'S001',
    'S001C001P041R001A001'])
def test_ntu_name_of_neither_release_is_reported(tmp_path, name):
    folder = write(tmp_path, {NAME: solo(), f'{name}.skeleton': solo()})
    source = NTU60(folder)
    assert len(list(source)) == 1
    assert f'{name}.skeleton: name: found {name}' in str(source.problems[0])


def test_ntu_refuses_bad_options(tmp_path):
    folder = write(tmp_path, {NAME: solo(), 'empty.txt': b'none', 'bad.txt': b'\xff'})
    with pytest.raises(ValueError, match="projection: found 'ir'"):
        NTU60(folder, projection='ir')
    for file, words in (('empty.txt', 'found no sample'), ('bad.txt', 'cannot be read'),
                        ('none.txt', 'cannot be read')):
        with pytest.raises(AnnotationError, match=f'{file}: .*{words}'):
            NTU60(folder, missing=Path(folder) / file)


# ------------------------------------------------------------------------------ ids that change
def moved(frames, x, seed=1):
    """A person at x; (T, 25, 12)."""
    return kinect_body(frames, seed, x, .005)


def shown(ann):
    """Frames in which each person is shown."""
    return [np.flatnonzero(row).tolist() for row in ann['keypoint_score'].any(-1)]


@pytest.mark.parametrize('reader', READERS)
def test_ntu_person_with_three_ids_is_one_person(tmp_path, reader):
    body = moved(9, 0)
    ids = [7, 7, 7, 3, 3, 3, 9, 9, 9]
    content = skeleton([{i: b} for i, b in zip(ids, body, strict=True)])
    source = reader(write(tmp_path, {NAME: content}))
    (ann, _), = source
    assert shown(ann) == [list(range(9))]
    assert list(source.notes) == ['bodies that go on under another id are joined to one person']
    same = one(tmp_path, skeleton([{7: b} for b in body]), reader)
    np.testing.assert_array_equal(ann['keypoint'], same['keypoint'])


def test_ntu_ids_of_two_persons_that_change_at_once_are_not_mixed(tmp_path):
    """They stand 0.5 m apart, and the new ids come in the other order."""
    a, b = moved(6, 0), moved(6, .5, 2)
    frames = [{1: a[t], 2: b[t]} if t < 3 else {3: b[t], 4: a[t]} for t in range(6)]
    ann = one(tmp_path, skeleton(frames), name=MUTUAL)
    x = np.sort(np.stack([a, b])[:, :, 0, 5], 0)  # of the hips' center
    found = ann['keypoint'][:, :, [11, 12], 0].astype(float).mean(-1)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], x, atol=3)


@pytest.mark.parametrize(('gap', 'persons'), [(29, 1), (31, 1), (149, 1), (151, 2)])
def test_ntu_body_that_is_back_within_5_s_is_one_person(tmp_path, gap, persons):
    body = moved(8, 0)
    frames = [{1: row} for row in body[:4]] + [{}] * gap + [{2: row} for row in body[4:]]
    ann = one(tmp_path, skeleton(frames))
    rows = [[0, 1, 2, 3], [gap + 4, gap + 5, gap + 6, gap + 7]]
    assert sorted(shown(ann)) == ([sum(rows, [])] if persons == 1 else rows)


def test_ntu_body_elsewhere_is_not_joined(tmp_path):
    """A person is lost, a chair appears 1.5 m to the side, the person returns after 10 frames."""
    person, chair = moved(30, 0), moved(30, 1.5, 3)
    frames = [{1: person[t]} if t < 10 else {2: chair[t]} if t < 20 else {3: person[t]}
              for t in range(30)]
    ann = one(tmp_path, skeleton(frames))
    assert sorted(shown(ann)) == [[*range(10), *range(20, 30)], list(range(10, 20))]


def test_ntu_frames_of_other_bodies_only_are_noted(tmp_path):
    bodies = [moved(4, x, i) for i, x in enumerate((-2, 0, 2))]
    source = NTU60(write(tmp_path, {NAME: skeleton([{i: bodies[i][t]} for i in range(3)
                                                    for t in range(4)])}))
    (ann, _), = source
    assert len(shown(ann)) == 2
    assert sum(map(len, shown(ann))) == 8
    assert [note for note in source.notes if note.startswith('nobody is shown')]


@pytest.mark.parametrize(('name', 'expected'), [
    ('S001C001P001R001A001', [90]), ('S010C003P025R001A060', [60, 100])])
def test_ntu_published_files_show_somebody_in_every_frame(real_data, name, expected):
    """A fault that was found: 40 of 100 and 30 of 90 frames were lost."""
    path = real_data(f'../failing/data/01_ntu_id_change/{name}.skeleton.gz')
    (ann, _), = NTU60(path, strict=True)
    assert sorted(map(len, shown(ann))) == expected
    assert ann['total_frames'] == expected[-1]
