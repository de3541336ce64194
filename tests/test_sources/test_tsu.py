"""Toyota Smarthome and TSU: published files, labels, splits, choice of persons."""
import json
import shutil
import warnings
import zipfile
from collections import Counter

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.data_sets.tsu import TSU, Smarthome
from tests.test_sources.native_files import write
from tests.test_sources.native_files.smarthome import (
    TSU_FILES,
    kpts,
    lcr,
    lcr_frames,
    lcr_pose,
    tsu_keypoints,
    tsu_labels,
)

VIDEO, CLIP = 'P02T01C06_LCRNet2d.npz', 'Walk_p25_r12_v15_c02.json'
# LCR-Net's joints behind COCO's: head, then shoulders, elbows, wrists, hips, knees, ankles.
COCO = [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
BODY = [0, *range(5, 17)]


def poses(frames, places):
    """(M, T, 13, 2) of the persons at some places of the lists, 0 where there is none."""
    out = np.zeros((len(places), len(frames), 13, 2))
    for i, place in enumerate(places):
        for t, persons in enumerate(frames):
            if place < len(persons):
                pose = persons[place]['pose2d']
                out[i, t] = list(zip(pose[:13], pose[13:], strict=True))
    return out


# ------------------------------------------------------------------------------------- real files
@pytest.fixture(scope='module')
def real(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('tsu')
    with zipfile.ZipFile(real_data('tsu_sample.zip')) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as src, open(folder / info.filename.split('/')[-1],
                                                     'wb') as dst:
                    shutil.copyfileobj(src, dst)
    return folder


@pytest.fixture(scope='module')
def video(real):
    item, = TSU(real, strict=True)
    return item


@pytest.mark.parametrize(('protocol', 'split'), [('cs', 'test'), ('cv', 'train')])
def test_tsu_published_video_has_its_annotation(real, protocol, split):
    (ann, splits), = TSU(real / 'P11T13C03_LCRNet2d.npz', protocol=protocol, strict=True)
    labels = json.loads((real / f'smarthome_{protocol.upper()}_51.json').read_text())['P11T13C03']
    assert splits == (split, )
    assert ann['frame_dir'] == 'P11T13C03'
    assert ann['label'] == 0
    assert ann['total_frames'] == labels['duration'] == 34520
    assert ann['segments'].tolist() == labels['actions']
    assert len(labels['actions']) == 81
    assert ann['img_shape'] == (480, 640)
    raw = np.load(real / 'P11T13C03_LCRNet2d.npz')['kpts']
    np.testing.assert_allclose(ann['keypoint'][0][:, BODY], raw[:, BODY], atol=.25)
    absent = (raw == 0).all((1, 2))
    assert absent.sum() == 18080
    np.testing.assert_array_equal(ann['keypoint_score'][0].any(-1), ~absent)
    assert (ann['keypoint_score'][0][~absent][:, BODY] == 1).all()
    assert not ann['keypoint_score'][..., 1:5].any()
    assert not ann['keypoint'][..., 1:5, :].any()


def test_tsu_joints_are_those_of_a_person(video):
    """Heads are above hips and those above ankles, limbs are short, and the far hip is higher.

    Where the arms are on the left of the shoulders the person looks to the left of the image,
    and its left side is nearer to the camera, which looks down: lower in the image.
    """
    ann, _ = video
    keypoint = ann['keypoint'][0][ann['keypoint_score'][0, :, 0] > 0].astype(np.float64)
    head, shoulder, hip, ankle = (keypoint[:, j].mean(1) for j in ([0], [5, 6], [11, 12],
                                                                  [15, 16]))
    assert (head[:, 1] < hip[:, 1]).mean() > .95
    assert (hip[:, 1] < ankle[:, 1]).mean() > .95

    def length(a, b):
        return np.linalg.norm(keypoint[:, a] - keypoint[:, b], axis=-1).mean()

    for a, b, c in ((5, 7, 8), (7, 9, 10), (11, 13, 14), (13, 15, 16)):
        assert length(a, b) < .9 * length(a, c)  # the other side's joint is farther
    reach = keypoint[:, 7:11, 0].mean(1) - shoulder[:, 0]
    trunk = np.abs(hip - shoulder)[:, 1]
    lower = keypoint[:, 11, 1] - keypoint[:, 12, 1]
    upright = trunk > 20  # pixels
    assert (lower[upright & (reach < -.3 * trunk)] > 0).mean() > .95
    assert (lower[upright & (reach > .3 * trunk)] < 0).mean() > .8


def test_tsu_segments_equal_published_annotations(real):
    """Every video of both files: splits, labels, and segments as they are."""
    count = {}
    for protocol in ('cs', 'cv'):
        source = TSU(real, protocol=protocol)
        assert len(source.videos) == 536
        splits, labels = Counter(), set()
        for name, entry in source.videos.items():
            split, duration, segments = source._actions(name)
            splits[split] += 1
            labels |= set(segments[:, 0].tolist())
            assert segments.tolist() == entry['actions']
            assert duration == entry['duration']
        count[protocol] = splits
        assert labels == set(range(51))
    assert count == dict(cs=dict(train=351, test=185), cv=dict(train=369, test=167))


def test_tsu_class_names_fit_the_counts(real):
    """Opposite actions (take and put, sit down and get up) are about equally frequent."""
    labels = Counter(TSU.classes[action[0]] for entry in TSU(real).videos.values()
                     for action in entry['actions'])
    assert len(set(TSU.classes)) == 51
    assert labels.most_common(1)[0][0] == 'Walk'
    for a, b in (('Take_something_off_table', 'Put_something_on_table'), ('Sit_down', 'Get_up'),
                 ('Enter', 'Leave')):
        assert .8 < labels[a] / labels[b] < 1.25
    assert len(set(Smarthome.classes)) == 31
    assert len(set(Smarthome.cv_classes)) == 19
    assert set(Smarthome.cv_classes) < set(Smarthome.classes)


# ---------------------------------------------------------------------------------- written files
def test_tsu_reads_both_kinds_of_file(tmp_path):
    write(tmp_path / 'a', TSU_FILES)
    (a, train), (b, test) = TSU(tmp_path / 'a', strict=True)
    assert (a['frame_dir'], b['frame_dir']) == ('P02T01C06', 'P11T13C03')
    assert train == ('train', )
    assert test == ('test', )
    assert 'segments' not in b
    assert a['segments'].tolist() == [[27, 1, 4], [50, 2, 6]]
    np.testing.assert_allclose(a['keypoint'][0][:, BODY], tsu_keypoints()[:, BODY], atol=.25)
    expected = poses(lcr_frames(), [1, 0])  # who moves most comes first, who hardly moves is out
    np.testing.assert_allclose(b['keypoint'][:, :, BODY], expected[:, :, COCO], atol=.25)
    np.testing.assert_array_equal(b['keypoint_score'][:, :, BODY],
                                  expected[:, :, COCO].any(-1))
    assert not b['keypoint_score'][..., 1:5].any()
    assert [s for _, s in TSU(tmp_path / 'a', protocol='cv')] == [('test', ), ('train', )]
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for name, content in TSU_FILES.items():
            archive.writestr(f'TSU/{name}', content)
    np.testing.assert_equal(list(TSU(tmp_path / 'a.zip')), list(TSU(tmp_path / 'a')))


def test_tsu_keeps_eyes_and_ears_of_files_that_have_them(tmp_path):
    keypoint = tsu_keypoints()
    keypoint[2:, 1:5] += 3
    folder = write(tmp_path, {**TSU_FILES, VIDEO: kpts(keypoint)})
    ann = next(iter(TSU(folder)))[0]
    assert ann['keypoint_score'][0, :, 1:5].any(-1).tolist() == [False] * 2 + [True] * 4


@pytest.mark.parametrize(('name', 'label', 'splits'), [
    ('Cook.Cleandishes_p03_r00_v02_c01', 0, ('cs_train', )),
    ('Walk_p25_r12_v15_c01', 29, ('cs_train', 'cv1_train', 'cv2_train')),
    ('Walk_p02_r12_v15_c07_pose3d', 29, ('cs_test', 'cv2_train')),
    ('Eat.Snack_p19_r12_v15_c02', 11, ('cs_train', 'cv_test')),
    ('Usetablet_p10_r12_v15_c05', 27, ('cs_test', ))])
def test_smarthome_name_gives_label_and_splits(tmp_path, name, label, splits):
    (ann, found), = Smarthome(write(tmp_path, {f'json/{name}.json': lcr(lcr_frames())}),
                              strict=True)
    assert (ann['label'], found) == (label, splits)
    assert ann['frame_dir'] == name.removesuffix('_pose3d')
    expected = poses(lcr_frames(), [1, 0])[:, :, COCO]
    np.testing.assert_allclose(ann['keypoint'][:, :, BODY], expected, atol=.25)


def test_smarthome_keeps_the_two_who_move_most(tmp_path):
    """By the sum of the deviations of x and y over frames and joints, as UNIK does."""
    rng = np.random.default_rng(0)
    size = [3, 50, 9, 30]
    frames = [[lcr_pose(300 + s * rng.normal(), 200 + s * rng.normal(), i)
               for i, s in enumerate(size)][:rng.integers(2, 5)] for _ in range(30)]
    motion = []
    for person in poses(frames, range(4)):
        seen = person[person.any((1, 2))]
        motion.append(seen[..., 0].std() + seen[..., 1].std())
    order = np.argsort(motion)[::-1][:2]
    (ann, _), = Smarthome(write(tmp_path, {CLIP: lcr(frames)}))
    np.testing.assert_allclose(ann['keypoint'][:, :, BODY], poses(frames, order)[:, :, COCO],
                               atol=.25)


def test_smarthome_clip_without_persons_is_kept(tmp_path):
    """Leaving it out would flatter the result of a test."""
    for frames in ([[], []], [[dict(pose2d=[0] * 26)], []]):
        (ann, _), = Smarthome(write(tmp_path, {CLIP: lcr(frames)}), strict=True)
        assert ann['keypoint'].shape == (1, 2, 17, 2)
        assert not ann['keypoint_score'].any()


# -------------------------------------------------------------------------------------- bad files
GOOD = {'Walk_p03_r00_v00_c03.json': lcr(lcr_frames())}
BAD = [
    (CLIP, b'', 'file', 'JSON'), (CLIP, b'[' * 10**5, 'file', 'RecursionError'),
    (CLIP, b'\xff\xfe\x00', 'file', 'JSON'), (CLIP, b'[]', 'frames', 'None'),
    (CLIP, b'{"frames": 3}', 'frames', 'int'), (CLIP, lcr([]), 'frames', 'list'),
    (CLIP, lcr([[]] * 3 + [None]), 'frames', 'per frame'), (CLIP, lcr([[3]]), 'frames', ''),
    (CLIP, lcr([[dict(pose3d=[0] * 39)]]), 'pose2d', 'no numbers'),
    (CLIP, lcr([[dict(pose2d=[0] * 34)]]), 'pose2d', r'\(1, 34\)'),
    (CLIP, lcr([[dict(pose2d=[0] * 26)], [dict(pose2d=[0])]]), 'pose2d', 'unequal'),
    (CLIP, lcr([[dict(pose2d=['a'] * 26)]]), 'pose2d', 'no numbers'),
    (CLIP, lcr([[dict(pose2d=[1e9] * 26)]]), 'keypoint', 'infinite'),
    (CLIP, lcr([[dict(pose2d=[1e200] * 26)]] * 2), 'keypoint', 'infinite'),
    (CLIP, b'{"frames": [[{"pose2d": [' + b'1e400, ' * 25 + b'1]}]]}', 'pose2d', 'infinite'),
    (CLIP, b'{"frames": [[{"pose2d": [' + b'9' * 400 + b', 1' * 25 + b']}]]}', 'pose2d',
     '64 bits'),
    (CLIP, b' ' * (2**26 + 1), 'file', 'usual size'),
    ('Fly_p03_r00_v02_c03.json', lcr(lcr_frames()), 'name', 'Fly'),
    ('Walk_p3_r00_v02_c03.json', lcr(lcr_frames()), 'name', 'Walk_p3'),
]


@pytest.mark.parametrize('case', range(len(BAD)))
def test_smarthome_bad_clip_is_skipped_with_its_reason(tmp_path, case):
    name, content, field, words = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        source = Smarthome(write(tmp_path, {**GOOD, name: content}))
        assert len(list(source)) == 1
        assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=rf'(?s){name}: {field}: found .*({words})'):
        list(Smarthome(tmp_path, strict=True))


def labels(**changes):
    entry = dict(subset='training', duration=6, actions=[[27, 1, 4]])
    return json.dumps(dict(P02T01C06={**entry, **changes})).encode()


CS = 'smarthome_CS_51.json'
BAD_VIDEOS = [
    (VIDEO, b'', 'file', 'npz'), (VIDEO, TSU_FILES[VIDEO][:-40], 'file', 'npz'),
    (VIDEO, kpts(np.array([{}])), 'file', 'array of objects'),
    (VIDEO, kpts(tsu_keypoints()[:, :13]), 'kpts', r'\(1, 6, 13, 2\)'),
    (VIDEO, kpts(tsu_keypoints() * np.nan), 'kpts', 'NaN'),
    (VIDEO, kpts(tsu_keypoints() * 1e9), 'keypoint', 'infinite'),
    (VIDEO, kpts(tsu_keypoints()[:0]), 'frames|total_frames', 'about|at least'),
    (VIDEO, kpts(tsu_keypoints(60)), 'frames', '60, expected about the 6.0'),
    (CS, b'{}', 'P02T01C06', 'dict {}'), (CS, labels(subset='val'), 'P02T01C06', "'val'"),
    (CS, labels(subset=['training']), 'P02T01C06', r"\['training'\]"),
    (CS, labels(actions=None), 'P02T01C06', "'actions': None"),
    (CS, labels(actions=[[51, 1, 4]]), 'P02T01C06: actions', '51'),
    (CS, labels(actions=[[1, 4, 1]]), 'P02T01C06: actions', '1.0, 4.0, 1'),
    (CS, labels(actions=[[1, -4, 1]]), 'P02T01C06: actions', '-4'),
    (CS, labels(actions=[[1, 1.5, 4]]), 'P02T01C06: actions', '1.5'),
    (CS, labels(actions=[[1, 1, 1e30]]), 'P02T01C06: actions', '1e.30'),
    (CS, labels(actions=[[1, 1]]), 'P02T01C06: actions', r'\(1, 2\)'),
    (CS, labels(actions=[['a', 1, 1]]), 'P02T01C06: actions', 'no numbers'),
    (CS, labels(duration='6'), 'P02T01C06: duration', 'no numbers'),
    (CS, labels(duration=[6]), 'P02T01C06: duration', 'shape'),
    ('P02T01C06_P02T01C07.npz', b'', 'name', 'one name'),
]


@pytest.mark.parametrize('case', range(len(BAD_VIDEOS)))
def test_tsu_bad_video_is_skipped_with_its_reason(tmp_path, case):
    name, content, field, words = BAD_VIDEOS[case]
    write(tmp_path, {VIDEO: TSU_FILES[VIDEO], CS: TSU_FILES[CS], name: content})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        source = TSU(tmp_path)
        list(source)
    assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=rf'(?s)({field}): found .*({words})'):
        raise source.problems[0]


def test_tsu_unreadable_labels_are_refused(tmp_path):
    write(tmp_path, {VIDEO: TSU_FILES[VIDEO]})
    with pytest.raises(AnnotationError, match='found no smarthome_CV_51.json'):
        TSU(tmp_path, protocol='cv')
    with pytest.raises(ValueError, match="protocol: found 'x', expected 'cs' or 'cv'"):
        TSU(tmp_path, protocol='x')
    for content, words in ((b'[]', 'found list'), (b'{', 'JSON')):
        write(tmp_path, {CS: content})
        with pytest.raises(AnnotationError, match=f'smarthome_CS_51.json: file: .*{words}'):
            TSU(tmp_path)
    write(tmp_path / 'none', {CS: tsu_labels()})
    with pytest.raises(AnnotationError, match='found no .* expected those of TSU'):
        TSU(tmp_path / 'none')
