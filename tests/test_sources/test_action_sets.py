"""MSR Action3D, UTD-MHAD, MSRC-12, Florence 3D, SBU, UAV-Human: joints, labels, splits."""
import gzip
import json
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import pytest

from mofm.annotations import LABEL_NAMES, AnnotationError, load_annotations
from mofm.keypoints import CameraRange
from mofm.sources.prepare import prepare
from mofm.sources.recognition import resolve
from mofm.structures import LAYOUTS
from tests.test_sources.native_files import SAMPLES, write
from tests.test_sources.native_files.actions import (
    ACTION_FILES,
    KINECT,
    OPENNI,
    UAV_NAME,
    WALK,
    coco_person,
    florence,
    lines,
    msr,
    msrc,
    pixels,
    sbu,
    stgcn,
    stgcn_labels,
    stgcn_person,
    ticks,
    uav,
    utd,
)

FRONT = CameraRange(distance=(3, 3), height=(0, 0), yaw=(0, 0), pitch=(0, 0), roll=(0, 0),
                    focal=(.65, .65))
NAMES = {name: min(files) for name, files in ACTION_FILES.items()}
KINECTS = ['msr_action3d', 'utd_mhad', 'msrc12', 'florence3d', 'sbu']


def read(tmp_path, name, files=None, **options):
    """Annotations by name, and the reader."""
    reader = SAMPLES[name][0]
    source = reader(write(tmp_path, ACTION_FILES[name] if files is None else files),
                    strict=True, **options)
    return {ann['frame_dir']: (ann, splits) for ann, splits in source}, source


# ---------------------------------------------------------------------------------------- joints
@pytest.mark.parametrize(('name', 'recording', 'first'), [
    ('msr_action3d', 'a01_s01_e01', 0), ('utd_mhad', 'a1_s1_t1', 0),
    ('msrc12', 'P1_1_1_p06', 1), ('florence3d', '001_a01_wave', 0), ('sbu', 's01s02_01_001', 0)])
def test_action_set_joints_are_meters_of_the_sensor(tmp_path, name, recording, first):
    """Every joint by its name, whatever the order, unit and axes of the file."""
    found, source = read(tmp_path, name, keep_3d=True)
    joints = found[recording][0]['keypoint'][0, first:]
    expected = WALK if source.layout == 'kinect20' else WALK[:, OPENNI]
    np.testing.assert_allclose(joints, expected, atol=2e-3)
    assert [LAYOUTS[source.layout].joints[i] for i in (0, 3)] == (
        ['pelvis', 'head'] if source.layout == 'kinect20' else ['head', 'left_shoulder'])
    assert (found[recording][0]['keypoint_score'][0, first:] == 1).all()


@pytest.mark.parametrize('name', KINECTS)
def test_action_set_person_faces_the_camera_of_the_sensor(tmp_path, name):
    """Upright, with the left side on the right of the image."""
    found, _ = read(tmp_path, name, cameras=FRONT)
    keypoint = next(ann for ann, _ in found.values())['keypoint'][0, 1:].astype(float)
    x, y = np.moveaxis(keypoint, -1, 0)
    assert (x[:, 5::2] > x[:, 6::2]).all()
    assert (y[:, 0] < y[:, 11]).all()
    assert (y[:, 11] < y[:, 15]).all()


@pytest.mark.parametrize(('name', 'native'), [
    ('msr_action3d', msr), ('florence3d', lambda joints: florence((1, 1, 1, joints)))])
def test_action_set_mirrored_x_is_negated_with_a_note(tmp_path, name, native):
    file = NAMES[name]
    found, source = read(tmp_path, name, {file: native(WALK * [-1, 1, 1])}, keep_3d=True)
    (ann, _), = found.values()
    expected = WALK if source.layout == 'kinect20' else WALK[:, OPENNI]
    np.testing.assert_allclose(ann['keypoint'][0], expected, atol=2e-3)
    assert 'x is negated, so that people face the sensor' in source.notes


@pytest.mark.parametrize(('name', 'native', 'joint'), [
    ('msr_action3d', msr, 3), ('utd_mhad', utd, 3), ('msrc12', msrc, 3),
    ('florence3d', lambda joints: florence((1, 1, 1, joints)), 0)])
@pytest.mark.parametrize('value', [0, np.nan])
def test_action_set_lost_joint_is_missing(tmp_path, name, native, joint, value):
    """Zeros and NaN; the head in frame 2."""
    joints = WALK.copy()
    joints[2, KINECT.index('head')] = value
    found, _ = read(tmp_path, name, {NAMES[name]: native(joints)}, keep_3d=True)
    (ann, _), = found.values()
    score = ann['keypoint_score'][0, -len(WALK):]
    assert np.argwhere(score == 0).tolist() == [[2, joint]]


def test_sbu_coordinates_follow_the_published_formula(tmp_path):
    """1280 - 2560 x, 960 - 1920 y and 10000 / 7.8125 z millimeters, of both people."""
    values = np.random.default_rng(0).uniform(.2, .8, (3, 2, 15, 3)).round(6)
    values[1, 1] = 0  # the second person is lost
    rows = np.concatenate([[[1], [2], [3]], values.reshape(3, -1)], 1)
    found, _ = read(tmp_path, 'sbu', {'s01s03/05/001/skeleton_pos.txt': lines(rows, '%g', ',')},
                    keep_3d=True)
    ann, _ = found['s01s03_05_001']
    x, y, z = np.moveaxis(values.swapaxes(0, 1), -1, 0)
    expected = np.stack([1280 - 2560 * x, 960 - 1920 * y, z * 10000 / 7.8125], -1) / 1000
    known = ann['keypoint_score'] > 0
    assert np.argwhere(~known.any(-1)).tolist() == [[1, 1]]
    np.testing.assert_allclose(ann['keypoint'][known], expected[known], atol=2e-3)


def test_msr_action3d_pixels_are_those_of_the_file(tmp_path):
    found, source = read(tmp_path, 'msr_action3d_2d')
    ann, splits = found['a01_s01_e01']
    assert splits == ('train', 'as2_train')
    assert ann['img_shape'] == (240, 320)
    expected = pixels(WALK)[..., :2]
    for joint, kinect in (('left_shoulder', 4), ('right_wrist', 10), ('left_ankle', 14)):
        np.testing.assert_allclose(ann['keypoint'][0, :, LAYOUTS['coco17'].joints.index(joint)],
                                   expected[:, kinect], atol=.1)
    with pytest.raises(AnnotationError, match='rows: found .*outside.*320 x 240'):
        read(tmp_path / 'b', 'msr_action3d_2d',
             {NAMES['msr_action3d_2d']: msr(pixels(WALK) * [3, 3, 1])})


# ------------------------------------------------------------------------------- labels and splits
@pytest.mark.parametrize(('name', 'recording', 'label', 'splits'), [
    ('msr_action3d', 'a20_s10_e02', 'pickup and throw', ('test', 'as1_test', 'as3_test')),
    ('msr_action3d', 'a01_s01_e01', 'high arm wave', ('train', 'as2_train')),
    ('utd_mhad', 'a27_s8_t4', 'squat (two arms stretch out)', ('test', )),
    ('utd_mhad', 'a1_s1_t1', 'right arm swipe to the left', ('train', )),
    ('msrc12', 'P3_2_12A_p30', 'Kick', None), ('florence3d', '002_a01_bow', 'bow', None),
    ('sbu', 's07s03_08_002', 'punching', (
        'fold1_train', 'fold2_train', 'fold3_test', 'fold4_train', 'fold5_train')),
    ('uav_human', UAV_NAME.format(118, 154)[:-4], 'A154', ('csv1_train', 'csv2_train'))])
def test_action_set_names_give_labels_and_splits(tmp_path, name, recording, label, splits):
    found, source = read(tmp_path, name)
    ann, given = found.get(f'{recording}_v0') or found[recording]
    assert source.classes[ann['label']] == label
    assert splits is None or given == splits
    assert len(found) == dict(msr_action3d_2d=1, florence3d=3).get(name, 2)


@pytest.mark.parametrize(('name', 'recording', 'people', 'person', 'prefix'), [
    ('msrc12', 'P1_1_1_p06', 30, 6, 'p'), ('florence3d', '003_a10_tight lace', 10, 10, 'a')])
def test_leave_one_out_tests_every_person_once(tmp_path, name, recording, people, person, prefix):
    found, _ = read(tmp_path, name)
    _, splits = found[f'{recording}_v0']
    assert len(splits) == people
    assert [s for s in splits if s.endswith('test')] == [f'{prefix}{person:02d}_test']


def test_uav_human_splits_have_published_numbers(tmp_path):
    """89 of the 119 people are for training in both protocols."""
    files = {UAV_NAME.format(i, 0): uav([{0: coco_person()}]) for i in range(119)}
    found, source = read(tmp_path, 'uav_human', files)
    assert not source.problems
    counts = Counter(split for _, splits in found.values() for split in splits)
    assert counts == dict(csv1_train=89, csv1_test=30, csv2_train=89, csv2_test=30)
    test = {int(name[1:4]) for name, (_, splits) in found.items() if 'csv2_test' in splits}
    assert {1, 2, 7, 116} <= test
    assert not {0, 3, 118} & test


def test_sbu_folds_are_the_21_pairs(tmp_path):
    pairs = [f's{a:02d}s{b:02d}' for a, b in (
        (1, 2), (1, 3), (1, 7), (2, 1), (2, 3), (2, 6), (2, 7), (3, 2), (3, 4), (3, 5), (3, 6),
        (4, 2), (4, 3), (4, 6), (5, 2), (5, 3), (6, 2), (6, 3), (6, 4), (7, 1), (7, 3))]
    files = {f'{pair}/01/001/skeleton_pos.txt': sbu(WALK, WALK) for pair in pairs}
    found, _ = read(tmp_path, 'sbu', files)
    folds = Counter(split for _, splits in found.values() for split in splits
                    if split.endswith('test'))
    assert folds == dict(fold1_test=4, fold2_test=4, fold3_test=4, fold4_test=4, fold5_test=5)
    assert all(len(splits) == 5 for _, splits in found.values())


def test_msr_action3d_subsets_have_8_actions(tmp_path):
    files = {f'a{a:02d}_s01_e01_skeleton3D.txt': msr(WALK[:1]) for a in range(1, 21)}
    found, _ = read(tmp_path, 'msr_action3d', files)
    counts = Counter(split for _, splits in found.values() for split in splits)
    assert counts == dict(train=20, as1_train=8, as2_train=8, as3_train=8)


# --------------------------------------------------------------------------------------- moments
def test_msrc12_moments_are_frames_of_the_gesture(tmp_path):
    """Frames are at 1000, 1033, ... ms; moments outside of the recording are dropped."""
    files = {'P1_1_1_p06.csv': msrc(WALK), 'P1_1_1_p06.tagstream': ticks(1066, 1100, 5000)}
    found, source = read(tmp_path, 'msrc12', files)
    ann, _ = found['P1_1_1_p06_v0']
    assert ann['segments'].tolist() == [[0, 2, 2], [0, 4, 4]]
    assert not ann['keypoint_score'][0, 0].any()  # nobody in the first frame
    assert 'moments of gestures outside of the recording are dropped' in source.notes
    found, source = read(tmp_path / 'b', 'msrc12', {'P1_1_1_p06.csv': msrc(WALK)})
    assert 'segments' not in found['P1_1_1_p06_v0'][0]
    assert 'no .tagstream: no moments of gestures' in source.notes


# ------------------------------------------------------------------------------------- UAV-Human
def test_uav_human_keypoints_are_pixels_of_coco(tmp_path):
    a, b = coco_person(500), coco_person(900)
    frames = [{7: a + t, 4: b + 50 * t} for t in range(4)]
    frames[0][7] = a * (np.arange(17) != 3)[:, None]  # the left ear is lost
    found, _ = read(tmp_path, 'uav_human', {UAV_NAME.format(1, 30): uav(frames)})
    (ann, splits), = found.values()
    assert splits == ('csv1_test', 'csv2_test')
    assert ann['label'] == 30
    assert ann['img_shape'] == (1080, 1920)
    np.testing.assert_allclose(ann['keypoint'][0], [b + 50 * t for t in range(4)], atol=.5)
    assert (ann['keypoint_score'][0] == 1).all()
    assert (ann['keypoint'][1, 1:] > 0).all()
    assert ann['keypoint_score'][1, 0].tolist() == [1, 1, 1, 0, *[1] * 13]


def test_uav_human_lines_may_have_fewer_values(tmp_path):
    """The tools of the data set read x and y by their place, whatever follows."""
    frames = [{0: coco_person(500 + t)} for t in range(3)]
    short = uav(frames).replace(b'0 0 0 0 0 0 0 0 0 0\n17', b'0.0\n17').replace(
        b' 0 0 0 0 0 0 0 0 0 0', b' 0.9')
    found, _ = read(tmp_path, 'uav_human', {UAV_NAME.format(0, 0): short})
    whole, _ = read(tmp_path / 'b', 'uav_human', {UAV_NAME.format(0, 0): uav(frames)})
    (a, _), (b, _) = *found.values(), *whole.values()
    np.testing.assert_array_equal(a['keypoint'], b['keypoint'])


def test_uav_human_person_who_gets_another_id_goes_on(tmp_path):
    frames = [{7 if t < 5 else 2: coco_person(500 + t)} for t in range(9)]
    found, source = read(tmp_path, 'uav_human', {UAV_NAME.format(0, 0): uav(frames)})
    (ann, _), = found.values()
    assert ann['keypoint_score'].any(-1).sum(1).tolist() == [9]
    assert 'bodies that go on under another id are joined to one person' in source.notes


def test_uav_human_refuses_coordinates_of_another_kind(tmp_path):
    for scale, words in ((1 / 2000, 'coordinates of about 1'), (10, 'outside')):
        with pytest.raises(AnnotationError, match=f'joints: found .*{words}.*1920 x 1080'):
            read(tmp_path / str(scale), 'uav_human',
                 {UAV_NAME.format(0, 0): uav([{0: coco_person() * scale}] * 3)})


# --------------------------------------------------------------------------------------- others
@pytest.mark.parametrize('name', sorted(ACTION_FILES))
def test_action_set_is_recognized_by_its_content(tmp_path, name):
    assert resolve(write(tmp_path, ACTION_FILES[name])).source == name
    for file in ACTION_FILES[name]:
        if not file.endswith(('.tagstream', '_label.json')) and name != 'sbu':
            assert resolve(tmp_path / file).source == name


def test_action_sets_use_published_class_names():
    for name, (reader, _, _) in SAMPLES.items():
        if name in LABEL_NAMES and name in ACTION_FILES:
            assert reader.classes == LABEL_NAMES[name]


@pytest.mark.parametrize(('name', 'file', 'content', 'words'), [
    ('msr_action3d', 'a21_s01_e01_skeleton3D.txt', msr(WALK), 'an action up to 20'),
    ('msr_action3d', 'a01_s01_e01_skeleton3D.txt', msr(WALK)[:-40], 'rows'),
    ('msr_action3d', 'a13_s09_e02_skeleton3D.txt', msr(WALK * 0), 'no joint'),
    ('msr_action3d', 'a01_s01_e01_skeleton3D.txt', msr(WALK * 1000), 'meters below'),
    ('utd_mhad', 'a28_s1_t1_skeleton.mat', utd(WALK), 'an action up to 27'),
    ('utd_mhad', 'a1_s1_t1_skeleton.mat', utd(WALK)[:200], 'MATLAB 5'),
    ('msrc12', 'P1_1_13_p06.csv', msrc(WALK), 'PX_X_gesture_pXX'),
    ('msrc12', 'P1_1_1_p31.csv', msrc(WALK), 'PX_X_gesture_pXX'),
    ('florence3d', 'Florence_dataset_WorldCoordinates.txt', florence((1, 11, 1, WALK)),
     'actor up to 10'),
    ('florence3d', 'Florence_dataset_WorldCoordinates.txt',
     florence((1, 1, 1, WALK), (1, 2, 1, WALK)), 'video 1: found 2 actors'),
    ('sbu', 's01s04/01/001/skeleton_pos.txt', sbu(WALK, WALK), 'PAIR/ACTION/SEQUENCE'),
    ('sbu', 's01s02/09/001/skeleton_pos.txt', sbu(WALK, WALK), 'PAIR/ACTION/SEQUENCE'),
    ('sbu', 's01s02/01/001/skeleton_pos.txt', sbu(WALK), '46 numbers'),
    ('uav_human', UAV_NAME.format(119, 0), uav([{0: coco_person()}]), 'P118'),
    ('uav_human', UAV_NAME.format(0, 155), uav([{0: coco_person()}]), 'A154'),
    ('uav_human', UAV_NAME.format(0, 0), uav([{0: coco_person() * 0}]), 'none')])
def test_action_set_bad_file_is_skipped_with_its_reason(tmp_path, name, file, content, words):
    reader, files, _ = SAMPLES[name]
    source = reader(write(tmp_path, {'good/' + NAMES[name]: files[NAMES[name]],
                                     **({f: c for f, c in files.items() if 'tag' in f}),
                                     file: content}))
    assert len(list(source)) == (3 if name == 'florence3d' else 1)
    assert len(source.problems) == 1
    assert words in str(source.problems[0])
    assert file in str(source.problems[0])


# ------------------------------------------------------------------------------ Kinetics-skeleton
# OpenPose's joints behind COCO's
COCO = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]


def test_kinetics_skeleton_keypoints_are_pixels_of_340_x_256(tmp_path):
    found, source = read(tmp_path, 'kinetics_skeleton')
    ann, splits = found['kinetics_train/abc']
    assert splits == ('train', )
    assert ann['label'] == 0
    assert ann['img_shape'] == (256, 340)
    assert 'frame_inds' not in ann
    expected = np.array([stgcn_person(170 + t)[COCO] for t in range(5)])
    order = np.argsort(-ann['keypoint'][:, 0, 0, 0])  # the person on the right first
    np.testing.assert_allclose(ann['keypoint'][order[0]], expected, atol=.2)
    np.testing.assert_allclose(ann['keypoint'][order[1]],
                               [stgcn_person(60, size=80)[COCO]] * 5, atol=.2)
    np.testing.assert_allclose(ann['keypoint_score'], .8, atol=1e-3)
    ann, splits = found['kinetics_val/x-y_1']
    assert splits == ('val', )
    assert ann['label'] == 1
    assert ann['keypoint_score'].any(-1).tolist() == [[False, True, True]]
    assert source.classes == ('abseiling', 'zumba')


def test_kinetics_skeleton_zero_scores_and_nan_are_missing_joints(tmp_path):
    data = json.loads(stgcn([[stgcn_person()]] * 3))
    data['data'][1]['skeleton'][0]['score'][4] = 0  # right wrist
    data['data'][2]['skeleton'][0]['pose'][14] = float('nan')  # left wrist
    found, source = read(tmp_path, 'kinetics_skeleton', {'a.json': json.dumps(data).encode()})
    ann, splits = found['a']
    assert splits == ()
    assert np.argwhere(ann['keypoint_score'][0] == 0).tolist() == [[1, 10], [2, 9]]
    assert source.classes == ()


def test_kinetics_skeleton_lists_replace_labels(tmp_path):
    (tmp_path / 'list.txt').write_text('abc 7\n')
    reader, files, _ = SAMPLES['kinetics_skeleton']
    files = {name: files[name] for name in files if 'label' not in name}
    source = reader(write(tmp_path / 'a', files), lists=dict(mine=tmp_path / 'list.txt'))
    assert [(ann['frame_dir'], ann['label'], splits) for ann, splits in source] == [
        ('kinetics_train/abc', 7, ('mine', ))]


def test_kinetics_skeleton_prepares_names_of_classes(tmp_path):
    reader, files, _ = SAMPLES['kinetics_skeleton']
    out = tmp_path / 'k.pkl'
    prepare(reader(write(tmp_path / 'a', files)), out, workers=1)
    data = load_annotations(out)
    assert data['metainfo']['classes'] == ['abseiling', 'zumba']
    assert data['split'] == dict(train=['kinetics_train/abc'], val=['kinetics_val/x-y_1'])


@pytest.mark.parametrize(('change', 'words'), [
    (dict(label_index=2), 'the label of this name'), (dict(label='zumba'), 'of this name'),
    (dict(data=[]), 'at least one'), (dict(data=[{}]), "frames with 'frame_index'"),
    (dict(data=2 * json.loads(stgcn([[]]))['data']), 'different numbers')])
def test_kinetics_skeleton_bad_file_is_skipped_with_its_reason(tmp_path, change, words):
    reader, files, _ = SAMPLES['kinetics_skeleton']
    bad = {**json.loads(files['kinetics_train/abc.json']), **change}
    source = reader(write(tmp_path, {**files, 'kinetics_train/b.json': json.dumps(bad).encode()}))
    assert len(list(source)) == 2
    assert words in str(source.problems[0])


def test_kinetics_skeleton_contradictory_labels_are_named(tmp_path):
    reader, files, _ = SAMPLES['kinetics_skeleton']
    labels = stgcn_labels(a=(0, 'abseiling'), b=(0, 'zumba'))
    with pytest.raises(AnnotationError, match='b: found .*one name of a label'):
        reader(write(tmp_path, {**files, 'kinetics_train_label.json': labels}))


@pytest.mark.parametrize(('name', 'file'), [
    *NAMES.items(), ('nw_ucla', 'all_sqe/a03_s01_e01_v03.json'),
    ('utkinect', 'joints/joints_s01_e01.txt'), ('penn_action', 'labels/0001.mat'),
    ('ntu60_2d', 'nturgb+d_skeletons/S001C001P001R001A001.skeleton'),
    ('smarthome', 'json/Cook.Cut_p03_r00_v02_c03.json'), ('charades', 'YSKX3.npz')])
def test_single_file_of_a_data_set_is_read_as_in_its_folder(tmp_path, name, file):
    reader, files, options = SAMPLES[name]
    folder = write(tmp_path, files)
    whole = {ann['frame_dir'].split('/')[-1]: ann for ann, _ in reader(folder, **options)}
    alone = [ann for ann, _ in reader(folder / file, strict=True, **options)]
    assert alone
    for ann in alone:
        other = whole[ann['frame_dir']]
        np.testing.assert_equal({**ann, 'frame_dir': ''}, {**other, 'frame_dir': ''})


def upper(name, content):
    path = PurePosixPath(name)
    return str(path.with_suffix(path.suffix.upper())), content


def packed(name, content):
    return f'{name}.gz', gzip.compress(content)


def windows(name, content):
    return name, content.replace(b'\n', b'\r\n') if content.isascii() else content


@pytest.mark.parametrize('change', [upper, packed, windows])
@pytest.mark.parametrize('name', [*sorted(ACTION_FILES), 'ctr_gcn'])
def test_action_set_files_of_other_systems_are_read_alike(tmp_path, name, change):
    reader, files, options = SAMPLES[name]
    items = []
    for i, given in enumerate((files, dict(change(*item) for item in files.items()))):
        source = reader(write(tmp_path / str(i) / 's01s02', given), strict=True, **options)
        items.append({ann['frame_dir']: (ann['label'], splits, ann['keypoint'].tolist())
                      for ann, splits in source})
    assert items[0] == items[1]
    assert items[0]
