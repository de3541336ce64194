"""Tracked poses of ShanghaiTech and UBnormal: file forms, labels from masks."""

import json
import runpy
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.datasets import TrackWindowDataset
from mofm.sources import ShanghaiTech, UBnormal
from mofm.sources.data_sets.stg_nf import abnormal_rows

TOOL = Path(__file__).resolve().parents[2] / 'tools/data/prepare.py'


def person(frames, pad=4, nested=False, seed=0):
    """{frame: pose} as in the files, and the values (T, 17, 3)."""
    values = np.random.default_rng(seed).uniform(1, 400, (len(frames), 17, 3)).round(2)
    values[..., 2] /= 1000
    return {f'{f:0{pad}}': dict(keypoints=(v if nested else v.ravel()).tolist(), scores=1.5)
            for f, v in zip(frames, values, strict=True)}, values


def write(root, folder, clip, persons):
    path = root / folder / f'{clip}_alphapose_tracked_person.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(persons if isinstance(persons, str) else json.dumps(persons))
    return path


@pytest.mark.parametrize('nested', [False, True])
@pytest.mark.parametrize('as_list', [False, True])
def test_stg_nf_gives_one_annotation_per_person(tmp_path, nested, as_list):
    """Frames in any order, padded to 3 or 4 digits, in one dict or a list of them."""
    first, values = person([7, 5, 130, 6], nested=nested)
    second, other = person([998, 1000, 999], pad=3, nested=nested, seed=1)
    if as_list:
        frames = list(first.items())
        first = [dict(frames[:3]), dict(frames[3:])]
    write(tmp_path, 'test', '01_0014', {'12': second, '3': first})
    (a, splits), (b, _) = ShanghaiTech(tmp_path, strict=True)
    assert splits == ('test', )
    assert [(x['frame_dir'], x['clip'], x['track_id']) for x in (a, b)] == [
        ('01_0014/3', '01_0014', 3), ('01_0014/12', '01_0014', 12)]
    assert a['frame_inds'].tolist() == [5, 6, 7, 130]
    assert b['frame_inds'].tolist() == [998, 999, 1000]
    assert a['img_shape'] == (480, 856)
    assert a['total_frames'] == 4
    for ann, expected in ((a, values[[1, 3, 0, 2]]), (b, other[[0, 2, 1]])):
        assert ann['keypoint'].dtype == ann['keypoint_score'].dtype == np.float16
        np.testing.assert_allclose(ann['keypoint'][0], expected[..., :2], atol=.13)
        np.testing.assert_allclose(ann['keypoint_score'][0], expected[..., 2], rtol=1e-3)


def test_stg_nf_folder_and_name_give_split_and_label(tmp_path):
    frames = person([1, 2])[0]
    for folder, clip in (('pose/train', '01_001'), ('pose/test', '01_0014')):
        write(tmp_path / 'sht', folder, clip, {'1': frames})
    found = [(ann['clip'], splits, ann['label']) for ann, splits in ShanghaiTech(tmp_path / 'sht')]
    assert found == [('01_0014', ('test', ), 1), ('01_001', ('train', ), 0)]
    folders = dict(train='normal_scene_1_scenario_2', test='normal_scene_1_scenario1_10',
                   abnormal_train='abnormal_scene_2_scenario_1_fog',
                   validation='abnormal_scene_3_scenario_1')
    for folder, clip in folders.items():
        write(tmp_path / 'ub', folder, clip, {'1': frames})
    found = {ann['clip']: (splits, ann['label']) for ann, splits in UBnormal(tmp_path / 'ub')}
    assert found == {
        folders['train']: (('train', 'supervised_train'), 0),
        folders['abnormal_train']: (('abnormal_train', 'supervised_train'), 1),
        folders['validation']: (('validation', ), 1), folders['test']: (('test', ), 0)}
    ann, _ = next(iter(UBnormal(tmp_path / 'ub', img_shape=(1080, 1920))))
    assert ann['img_shape'] == (1080, 1920)
    assert 'frame_label' not in ann
    assert next(iter(UBnormal(tmp_path / 'ub')))[0]['img_shape'] == (720, 1280)


def test_stg_nf_zip_and_single_split_equal_folder(tmp_path):
    for folder in ('train', 'test'):
        write(tmp_path / 'pose', folder, f'01_{folder}', {'1': person([1, 2])[0]})
    (tmp_path / 'pose/test/alphapose-results.json').write_text('[]')
    (tmp_path / 'pose/test/README.txt').write_text('')
    with zipfile.ZipFile(tmp_path / 'pose.zip', 'w') as archive:
        for file in (tmp_path / 'pose').rglob('*.json'):
            archive.write(file, file.relative_to(tmp_path))
    folder, packed = (list(ShanghaiTech(tmp_path / n, strict=True)) for n in ('pose', 'pose.zip'))
    np.testing.assert_equal(folder, packed)
    assert len(folder) == 2
    (_, splits), = ShanghaiTech(tmp_path / 'pose/test', strict=True)
    assert splits == ('test', )


def test_stg_nf_nan_is_a_missing_joint(tmp_path):
    frames, values = person([1, 2])
    frames['0002']['keypoints'][3 * 5] = float('nan')
    write(tmp_path, 'test', '01_0014', {'3': frames})
    (ann, _), = ShanghaiTech(tmp_path, strict=True)
    assert ann['keypoint_score'][0, 1, 5] == 0
    assert not ann['keypoint'][0, 1, 5].any()
    np.testing.assert_allclose(ann['keypoint'][0, 1, 6], values[1, 6, :2], atol=.13)
    assert (ann['keypoint_score'] > 0).sum() == 2 * 17 - 1


def test_stg_nf_names_in_upper_case_and_single_files_are_read(tmp_path):
    file = write(tmp_path, 'Test', '01_0014', {'3': person([1, 2])[0]})
    file = file.rename(file.with_name(file.name.upper()))
    for path in (tmp_path, file):
        (ann, splits), = ShanghaiTech(path, strict=True, img_shape=(240, 428))
        assert (ann['clip'], splits, ann['img_shape']) == ('01_0014', ('test', ), (240, 428))


POSE = dict(keypoints=[1.] * 51)
BROKEN = {
    'no json': ('{"1": {', 'file', 'readable JSON'),
    'deep': ('[' * 10**5, 'file', 'RecursionError'),
    'list': ([POSE], 'persons', 'list'),
    'nobody': ({}, 'persons', 'none'),
    'name': ({'a': {'0001': POSE}}, 'persons', 'number of the person'),
    'no frames': ({'1': {}}, 'person 1', 'frames'),
    'frame name': ({'1': {'1.jpg': POSE}}, 'person 1', r"frames \['1.jpg'\]"),
    'frame far': ({'1': {'9' * 30: POSE}}, 'person 1', 'numbers of frames'),
    'number': ({'1': 5}, 'person 1', 'dict of frames'),
    'no keypoints': ({'1': {'0001': dict(scores=1)}}, 'person 1', "KeyError: 'keypoints'"),
    '16 joints': ({'1': {'0001': dict(keypoints=[1.] * 48)}}, 'person 1', '17 joints'),
    'ragged': ({'1': {'1': POSE, '2': dict(keypoints=[1.])}}, 'person 1', '17 joints'),
    'text': ({'1': {'0001': dict(keypoints='abc')}}, 'person 1', 'ValueError'),
    'infinite': ('{"1": {"0001": {"keypoints": [' + '1e999,' * 50 + '1]}}}', 'person 1', 'infin'),
    'far': ({'1': {'0001': dict(keypoints=[1e9, 1e9, 1.] * 17)}}, 'keypoint', 'infinite'),
}


@pytest.mark.filterwarnings('ignore:overflow')
@pytest.mark.parametrize('name', sorted(BROKEN))
def test_stg_nf_bad_file_is_skipped_with_its_reason(tmp_path, name):
    content, field, words = BROKEN[name]
    write(tmp_path, 'train', 'bad', content)
    write(tmp_path, 'train', 'good', {'1': person([1, 2])[0]})
    source = ShanghaiTech(tmp_path)
    assert [ann['clip'] for ann, _ in source] == ['good']
    assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=rf'(?s)bad_.*: {field}: found .*{words}'):
        list(ShanghaiTech(tmp_path, strict=True))


def test_stg_nf_wrong_folder_is_named(tmp_path):
    write(tmp_path, 'val', '01', {'1': person([1])[0]})
    with pytest.raises(AnnotationError, match=r"folder: found 'val', .*\['test', 'train'\]"):
        list(ShanghaiTech(tmp_path, strict=True))
    (tmp_path / 'val/01_alphapose_tracked_person.json').rename(tmp_path / 'val/01.json')
    with pytest.raises(AnnotationError, match=r'no \*_alphapose_tracked_person.json file'):
        ShanghaiTech(tmp_path)


# ---- labels of persons ------------------------------------------------------------------------
def by_loops(keypoint, frame, objects, masks):
    label = []
    for points, t in zip(keypoint, frame, strict=True):
        hits = 0
        for x, y in np.floor(points).astype(int):
            height, width = masks[t].shape
            value = masks[t][min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
            hits += any(value == i and start <= t < end for i, start, end in objects)
        label.append(int(2 * hits > len(points)))
    return label


def test_abnormal_rows_equal_loops():
    rng = np.random.default_rng(0)
    masks = rng.choice([0, 1, 2, 5], (8, 3, 4)).repeat(10, 1).repeat(10, 2).astype(np.uint8)
    center = rng.uniform(0, 40, (200, 1, 2))
    keypoint = center + rng.normal(0, 3, (200, 17, 2))  # some are outside of the 30 x 40 pixels
    frame = rng.integers(0, 8, 200)
    objects = np.array([[1, 0, 3], [2, 2, 8], [1, 5, 6]])
    label = abnormal_rows(keypoint, frame, objects, masks.__getitem__)
    assert .2 < label.mean() < .6
    assert label.tolist() == by_loops(keypoint, frame, objects, masks)


def test_abnormal_rows_need_more_than_half_of_the_joints():
    keypoint = np.zeros((3, 17, 2))
    for row, joints in enumerate((8, 9, 17)):
        keypoint[row, :joints] = 5.9, 2.9
    mask = np.zeros((4, 8), np.uint8)
    mask[2, 5] = 3
    objects = np.array([[3., 1, 4]])
    assert abnormal_rows(keypoint, np.ones(3), objects, lambda t: mask).tolist() == [0, 1, 1]
    frames = np.array([0, 1, 3, 4])  # from 1 up to but not including 4
    assert abnormal_rows(keypoint[[2] * 4], frames, objects,
                         lambda t: mask).tolist() == [0, 1, 1, 0]


@pytest.fixture
def ubnormal(tmp_path):
    """One abnormal training clip: object 2 is the left half of the image in frames 2, 3, 4."""
    clip = 'abnormal_scene_7_scenario_1_fog'
    frames, _ = person(range(8))
    for i, pose in enumerate(frames.values()):  # crosses to the right half at frame 4
        pose['keypoints'] = [20. if i < 4 else 60., 10., .9] * 17
    right = {f: dict(keypoints=[60., 10., .9] * 17) for f in list(frames)[1:5]}
    write(tmp_path / 'pose', 'abnormal_train', clip, {'1': frames, '4': right})
    write(tmp_path / 'pose', 'train', 'normal_scene_7_scenario_1', {'1': frames})
    write(tmp_path / 'pose', 'test', 'abnormal_scene_8_scenario_1', {'1': frames})
    masks = tmp_path / f'data/Scene7/{clip}_annotations'
    masks.mkdir(parents=True)
    mask = np.full((40, 80, 3), 7, np.uint8)
    mask[:, :40] = 2
    for t in range(8):
        cv2.imwrite(str(masks / f'{clip}_{t:04}_gt.png'), mask)
    (tmp_path / 'gt').mkdir()
    (tmp_path / f'gt/{clip}_tracks.txt').write_bytes(b'2,2,5\r\n9,0,8\r\n')
    return tmp_path


def labels_of(root, **options):
    source = UBnormal(root / 'pose', gt=root / 'gt', masks=root / 'data', **options)
    return source, {ann['frame_dir']: ann.get('frame_label') for ann, _ in source}


def test_ubnormal_masks_give_labels_of_persons(ubnormal):
    _, labels = labels_of(ubnormal, strict=True)
    assert labels.pop('abnormal_scene_8_scenario_1/1') is None
    assert {k: v.tolist() for k, v in labels.items()} == {
        'abnormal_scene_7_scenario_1_fog/1': [0, 0, 1, 1, 0, 0, 0, 0],
        'abnormal_scene_7_scenario_1_fog/4': [0] * 4, 'normal_scene_7_scenario_1/1': [0] * 8}


def test_ubnormal_masks_are_in_numerical_order(ubnormal):
    """Frame 10 after frame 9, whatever the padding; here the object appears in the last mask."""
    folder, = (ubnormal / 'data/Scene7').iterdir()
    for file in folder.iterdir():
        file.unlink()
    for t in range(12):
        image = np.full((40, 80), 2 * (t == 10), np.uint8)
        cv2.imwrite(str(folder / f'mask_{t}_gt.png'), image)
    clip = folder.name.removesuffix('_annotations')
    write(ubnormal / 'pose', 'abnormal_train', clip, {'1': person(range(12))[0]})
    (ubnormal / f'gt/{clip}_tracks.txt').write_text('2.0e+00,0.0e+00,12.0')
    _, labels = labels_of(ubnormal, strict=True)
    assert labels[f'{clip}/1'].tolist() == [0] * 10 + [1, 0]


def test_ubnormal_real_object_files_are_read(ubnormal, real_data):
    """All 120 files of abnormal training and validation clips, integers or floats."""
    source = UBnormal(ubnormal / 'pose', gt=real_data('ubnormal_gt.zip'), masks=ubnormal)
    with zipfile.ZipFile(real_data('ubnormal_gt.zip')) as archive:
        clips = [clip for kind in ('training', 'validation') for clip in
                 archive.read(f'abnormal_{kind}_video_names.txt').decode().split()]
    assert len(clips) == 120
    for clip in clips:
        number, start, end = source._objects(clip).T
        assert (number == number.astype(int)).all()
        assert (start >= 0).all()
        assert (start < end).all()
        assert end.max() <= 600
        assert number.max() <= 20
    with pytest.raises(AnnotationError, match='expected (3|finite)'):
        source._objects('abnormal_scene_1_scenario_1')  # a test clip: an array of frames


@pytest.mark.parametrize(('damage', 'words'), [
    (lambda gt, masks: next(gt.iterdir()).unlink() or (gt / 'x.txt').touch(), 'found no abnormal'),
    (lambda gt, masks: next(gt.iterdir()).write_text('1,2'), '3 (numbers )?per row'),
    (lambda gt, masks: next(gt.iterdir()).write_text('a,b,c'), '3 (numbers )?per row'),
    (lambda gt, masks: masks[4].unlink(), r'7 masks in .*one .png file per frame'),
    (lambda gt, masks: masks[3].write_text('no image'), 'not an image')])
def test_ubnormal_missing_labels_are_not_taken_for_normal(ubnormal, damage, words):
    damage(ubnormal / 'gt', sorted((ubnormal / 'data').rglob('*.png')))
    text = next((ubnormal / 'gt').iterdir())
    if 'masks' in words:
        text.write_text('2,2,8')
    source, labels = labels_of(ubnormal)
    assert not any('scene_7_scenario_1_fog' in name for name in labels)
    assert len(labels) == 2
    with pytest.raises(AnnotationError, match=words):
        labels_of(ubnormal, strict=True)


def test_ubnormal_needs_both_labels_and_masks(tmp_path):
    with pytest.raises(ValueError, match='expected both or neither'):
        UBnormal(tmp_path, gt=tmp_path)


def test_prepare_writes_shanghaitech_that_dataset_reads(tmp_path, monkeypatch, capsys):
    write(tmp_path, 'pose/train', '01_001', {'1': person(range(60))[0], '2': person(range(9))[0]})
    write(tmp_path, 'pose/test', '01_0014', {'1': person(range(30))[0]})
    write(tmp_path, 'pose/test', '01_0015', {})
    out = tmp_path / 'sht.pkl'
    monkeypatch.setattr(sys, 'argv', ['prepare.py', 'shanghaitech', str(tmp_path / 'pose'),
                                      str(out)])
    runpy.run_path(str(TOOL), run_name='__main__')
    assert '01_0015' in capsys.readouterr().out.replace('\n', '')
    assert load_annotations(out)['split'] == {
        'train': ['01_001/1', '01_001/2'], 'test': ['01_0014/1']}
    train, test = (TrackWindowDataset(str(out), split=s, stride=6) for s in ('train', 'test'))
    assert [(d['clip'], d['track_id'], d['frame']) for d in train] == [
        ('01_001', 1, 24), ('01_001', 1, 30)]
    assert [(d['clip'], d['frame']) for d in test] == [('01_0014', 15)]


def test_stg_nf_large_pose_file_is_refused(tmp_path, monkeypatch):
    write(tmp_path, 'train', '01', {'1': person([1])[0]})
    monkeypatch.setattr(ShanghaiTech, 'max_size', 100)
    with pytest.raises(AnnotationError, match='more than 100 bytes'):
        list(ShanghaiTech(tmp_path, strict=True))
