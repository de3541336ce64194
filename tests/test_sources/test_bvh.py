"""BVH files: Bandai-Namco and written files against independent forward kinematics."""
import argparse
import json
import re
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofm.annotations import AnnotationError
from mofm.sources.joint_maps import load_map
from mofm.sources.mocap import bvh as module
from mofm.sources.mocap.bvh import BVH, forward_kinematics, parse_hierarchy
from mofm.structures import LAYOUTS
from tests.test_sources.native_files.mocap import ENDS, SKELETON, bvh, bvh_values

COCO = LAYOUTS['coco17'].joints


def turn(axis, degrees):
    """(4, 4) right-handed rotation about x, y or z."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    block = dict(x=[[1, 0, 0], [0, c, -s], [0, s, c]], y=[[c, 0, s], [0, 1, 0], [-s, 0, c]],
                 z=[[c, -s, 0], [s, c, 0], [0, 0, 1]])[axis]
    out = np.eye(4)
    out[:3, :3] = block
    return out


def by_matrices(row):
    """Positions of all joints of :data:`SKELETON` in one frame by name, one joint at a time."""
    row, frames, places = list(row), {None: np.eye(4)}, {}
    for name, parent, offset, channels in SKELETON:
        move, rotation = np.eye(4), np.eye(4)
        move[:3, 3] = offset
        for word in channels:
            value = row.pop(0)
            if word.isupper():
                move['XYZ'.index(word), 3] = value
            else:
                rotation = rotation @ turn(word, value)
        frames[name] = frames[parent] @ move @ rotation
        places[name] = frames[name][:3, 3]
        if name in ENDS:
            places[f'{name}_End'] = (frames[name] @ [*ENDS[name], 1])[:3]
    assert not row
    return places


def read(path, content, joint_map='cmu', **kwargs):
    """Joints (T, 17, 3) of the recording in a file with this content."""
    path = path / 'data.bvh'
    path.write_bytes(content)
    (ann, _), = BVH(path, joint_map, strict=True, **kwargs).recordings('', content)
    return ann['joints']


# ------------------------------------------------------------------------------------ real data
def test_bvh_kinematics_equal_published_joints_of_bandai_namco(real_data):
    """Every second frame of all 174 files is that of the published array, to its last bit."""
    with np.load(real_data('bandai_namco_15fps.npz')) as arrays:
        ends = np.cumsum(arrays['length'])
        starts = dict(zip(arrays['name'].tolist(), zip(ends - arrays['length'], ends, strict=True),
                          strict=True))
        xyz, names = arrays['xyz'], arrays['joints'].tolist()
    source = BVH(real_data('bandai_namco_1.zip'), 'bandai_namco', strict=True)
    assert len(source.files) == 174
    total = 0
    with zipfile.ZipFile(source.path) as archive:
        for file in source.files:
            skeleton, values, fps = source._parse(file, archive.read(file))
            kept = [i for i, name in enumerate(skeleton.names) if not name.endswith('_End')]
            assert [skeleton.names[i] for i in kept] == names
            joints = forward_kinematics(skeleton, values[::2])[:, kept] / 100
            start, end = starts[file.split('/')[-1].removesuffix('.bvh')]
            published = xyz[start:end]
            assert len(joints) == len(published)
            error = np.abs(joints - published.astype(np.float64))
            assert (error <= .501 * np.spacing(np.abs(published)).astype(np.float64)).all()
            total += len(values)
            assert fps == 30
    assert total == 31914


def test_bvh_real_files_get_labels_and_splits_of_lists(real_data, tmp_path):
    """A view of some files, with labels and splits of a list."""
    wanted = {'dataset-1_walk_old_001': ('train', 1), 'dataset-1_kick_normal_001': ('test', 0)}
    for name, (split, label) in wanted.items():
        (tmp_path / f'{split}.txt').write_text(f'{name} {label}\n')
    source = BVH(real_data('bandai_namco_1.zip'), 'bandai_namco', strict=True,
                 lists={split: tmp_path / f'{split}.txt' for split in ('train', 'test')})
    found = {ann['frame_dir'][:-3]: (*splits, ann['label']) for ann, splits in source}
    assert found == {f'data/{name}': value for name, value in wanted.items()}
    ann, _ = list(source)[0]
    missing = (ann['keypoint_score'][0] == 0).all(0)
    assert [COCO[i] for i in np.flatnonzero(missing)] == ['left_eye', 'right_eye', 'left_ear',
                                                          'right_ear']


# ---------------------------------------------------------------------------- forward kinematics
@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=25)
def test_bvh_any_channel_order_equals_matrix_products(seed, frames):
    """Rotation orders, single axes, channels between each other, positions on inner joints."""
    values = bvh_values(frames, seed) * 3
    head, rows = bvh(values).decode().split('MOTION')
    skeleton = parse_hierarchy(head)
    assert len(skeleton.names) == len(SKELETON) + len(ENDS)
    joints = forward_kinematics(skeleton, values)
    for frame, row in enumerate(values):
        places = by_matrices(row)
        np.testing.assert_allclose(joints[frame], [places[n] for n in skeleton.names], atol=1e-9)


def test_bvh_first_rotation_channel_is_the_outermost():
    """By hand: the child at +x goes to +y by z = 90, and only then to +z by x = 90."""
    text = ('HIERARCHY ROOT a { OFFSET 9 9 9 CHANNELS 6 Xposition Yposition Zposition Xrotation '
            'Yrotation Zrotation JOINT b { OFFSET 1 0 0 CHANNELS 1 YPosition End Site { OFFSET 1 '
            '0 0 } } }')
    skeleton = parse_hierarchy(text)
    assert skeleton.names == ['a', 'b', 'b_End']
    assert skeleton.parents == [-1, 0, 1]
    joints = forward_kinematics(skeleton, np.array([[1., 2, 3, 90, 0, 90, 0]]))
    np.testing.assert_allclose(joints[0], [[1, 2, 3], [1, 2, 4], [1, 2, 5]], atol=1e-12)


@pytest.mark.parametrize(('unit', 'up'), [(.01, 'y'), (.02, 'y'), (.01, 'z')])
def test_bvh_gives_coco_joints_in_meters(tmp_path, unit, up):
    """The nose is the middle of the head bone in the map of CMU."""
    values = bvh_values()
    joints = read(tmp_path, bvh(values), unit=unit, up=up)
    for frame, row in enumerate(values):
        places = by_matrices(row.round(6))
        expected = np.stack([(places['Head'] + places['Head_End']) / 2, places['LeftArm'],
                             places['RightHand'], places['LeftFoot']])
        if up == 'z':
            expected = np.stack([expected[:, 0], expected[:, 2], -expected[:, 1]], -1)
        index = [COCO.index(j) for j in ('nose', 'left_shoulder', 'right_wrist', 'left_ankle')]
        np.testing.assert_allclose(joints[frame, index], expected * unit, atol=1e-7)
    assert np.isnan(joints[:, 1:5]).all()
    assert joints.shape == (5, 17, 3)


def test_bvh_whitespace_does_not_change_joints(tmp_path):
    plain = bvh()
    text = plain.decode()
    for other in (text.replace('\n', '\r\n'), '\ufeff' + text, text.replace('  ', '\t'),
                  text.replace('Xposition', 'XPOSITION'), text.rstrip('\n'),
                  text.replace('\n{', ' {').replace('Frames: ', 'Frames:\t'),
                  text.replace('LeftHand\n', 'Left Hand\n')):
        joint_map = 'cmu'
        if 'Left Hand' in other:
            joint_map = tmp_path / 'map.json'
            joint_map.write_text(json.dumps(dict(
                load_map('cmu'), left_wrist='Left Hand')))
        np.testing.assert_array_equal(read(tmp_path, other.encode(), joint_map),
                                      read(tmp_path, plain))


# ------------------------------------------------------------------------ read with a note
def noted(path, content, joint_map='cmu', **kwargs):
    """The recording of a file with this content, and the notes."""
    path = path / 'data.bvh'
    path.write_bytes(content)
    source = BVH(path, joint_map, strict=True, **kwargs)
    (ann, _), = source.recordings('', content)
    return ann, ' / '.join(source.notes)


def test_bvh_reads_rows_that_differ_from_frames(real_data):
    """The files of a user: one row less and one more than ``Frames:`` says; CMU's unit."""
    for name in ('fewer', 'more'):
        file, joint_map = (real_data(f'../failing/data/11_bvh_rows/{n}')
                           for n in (f'{name}_rows.bvh', 'm_mb.json'))
        source = BVH(file, joint_map, strict=True, keep_3d=True)
        (ann, _), = source
        assert ann['total_frames'] == 20
        assert .75 < np.linalg.norm(np.diff(ann['keypoint'][0, 0, [11, 13, 15]].astype(float),
                                            axis=0), axis=1).sum() < .95  # the legs
        assert any('Frames: states another number' in note for note in source.notes)
        assert any('0.05644 m is taken' in note for note in source.notes)


@pytest.mark.parametrize(('frames', 'rows'), [('Frames: 1', 5), ('Frames: 99', 5), ('', 5),
                                              ('Frames: 0', 5), ('frames :5', 5),
                                              ('Frames: 5.0', 5), ('Frames\t5', 5)])
def test_bvh_reads_all_rows_whatever_frames_says(tmp_path, frames, rows):
    ann, notes = noted(tmp_path, changed('Frames: 5', frames))
    np.testing.assert_array_equal(ann['joints'], read(tmp_path, bvh()))
    assert ('another number' in notes) == ('5' not in frames)


def test_bvh_without_a_cut_row(tmp_path):
    ann, notes = noted(tmp_path, bvh()[:-20])
    np.testing.assert_array_equal(ann['joints'], read(tmp_path, bvh())[:4])
    assert 'the last row is cut off' in notes


@pytest.mark.parametrize('time', ['Frame Time: 0', 'Frame Time: nan', 'Frame Time: -1', ''])
def test_bvh_without_frame_time_has_no_frame_rate(tmp_path, time):
    content = changed('Frame Time: 0.033333', time)
    ann, notes = noted(tmp_path, content)
    assert ('fps' in ann, 'Frame Time: is 0 or missing' in notes) == (False, True)
    ann, notes = noted(tmp_path, content, fps=60)
    assert (ann['fps'], 'Frame Time' in notes) == (60, False)
    assert noted(tmp_path, bvh())[0]['fps'] == 30


def test_bvh_frame_rate_is_in_annotations(tmp_path):
    for time, fps in (('.0083333', 120), ('.03333', 30), ('.033367', 29.97), ('.041708', 23.976)):
        content = changed('Frame Time: 0.033333', f'Frame Time: {time}')
        (tmp_path / 'a.bvh').write_bytes(content)
        (ann, _), = BVH(tmp_path, 'cmu', strict=True)
        assert ann['fps'] == fps


@pytest.mark.parametrize(('old', 'new'), [
    ('Left', 'mixamorig7:Left'), ('Right', 'character one|Right'), ('LeftUpLeg', 'left up-leg'),
    ('LeftArm', 'LEFT_ARM'), ('RightArm', 'Right.Arm')])
def test_bvh_names_with_prefix_or_other_spelling_are_found(tmp_path, old, new):
    ann, _ = noted(tmp_path, bvh().replace(old.encode(), new.encode()))
    np.testing.assert_array_equal(ann['joints'], read(tmp_path, bvh()))


def test_bvh_common_prefix_is_dropped(tmp_path):
    content = re.sub(rb'(ROOT|JOINT) ', rb'\1 Character1_', bvh())
    for joint_map in ('cmu', None):
        ann, _ = noted(tmp_path, content, joint_map)
        np.testing.assert_array_equal(ann['joints'], read(tmp_path, bvh()))


def test_bvh_map_is_chosen_by_names(tmp_path):
    """The most joints of several maps; an error that names the maps if none fits."""
    ann, notes = noted(tmp_path, bvh(), None)
    np.testing.assert_array_equal(ann['joints'], read(tmp_path, bvh(), 'cmu'))
    assert '--map cmu' in notes
    with pytest.raises(AnnotationError, match="LeftBone.*--map, because no map"):
        noted(tmp_path, bvh().replace(b'UpLeg', b'Bone'), None)


@pytest.mark.parametrize('names', [
    'upper_arm.{0} forearm.{0} hand.{0} thigh.{0} shin.{0} foot.{0}',  # Blender
    '{1}UpArm {1}LowArm {1}Hand {1}UpLeg {1}LowLeg {1}Foot'])
def test_bvh_names_of_bones_are_known_if_arms_and_legs_are_whole(tmp_path, names):
    content = bvh().replace(b'LeftShoulder', b'shoulder.L')  # the collar bone of Blender
    for side in ('Left', 'Right'):
        new = names.format(side[0], side).split()
        for bone, name in zip(('Arm', 'ForeArm', 'Hand', 'UpLeg', 'Leg', 'Foot'), new,
                              strict=True):
            content = re.sub(rf'(?<=JOINT ){side}{bone}\b'.encode(), name.encode(), content)
    ann, notes = noted(tmp_path, content, None)
    np.testing.assert_array_equal(ann['joints'][:, 5:], read(tmp_path, bvh())[:, 5:])
    assert 'found by their names' in notes
    knee = names.format('L', 'Left').split()[4].encode()
    with pytest.raises(AnnotationError, match='no map'):
        noted(tmp_path, content.replace(b'JOINT ' + knee, b'JOINT other'), None)


def test_bvh_other_bytes_and_signs_are_read(tmp_path):
    """Latin-1, decimal commas, commas between numbers, line ends of old Macs, lower case."""
    plain, name = read(tmp_path, bvh()), bvh().replace(b'Spine', b'R\xfccken')
    lower = bvh()
    for word in (b'HIERARCHY', b'ROOT', b'JOINT', b'End Site', b'OFFSET', b'CHANNELS', b'MOTION',
                 b'Frames', b'Frame Time'):
        lower = lower.replace(word, word.lower())
    head, rows = bvh().split(b'0.033333\n')
    for content, words in ((name, 'latin-1'), (lower, ''), (bvh().replace(b'\n', b'\r'), ''),
                           (bvh().replace(b'.', b','), 'decimal points'),
                           (head + b'0.033333\n' + rows.replace(b' ', b', '), 'spaces'),
                           (bvh().replace(b'\n{', b'{'), '')):
        ann, notes = noted(tmp_path, content)
        np.testing.assert_array_equal(ann['joints'], plain)
        assert words in notes
        assert ann['fps'] == 30


@pytest.mark.parametrize('nan', ['nan', 'NaN', '-1.#IND00', '1.#QNAN'])
def test_bvh_nan_is_a_frame_without_joints(tmp_path, nan):
    lines = bvh().decode().split('\n')
    words = lines[-4].split()
    lines[-4] = ' '.join([*words[:9], nan, *words[10:]])
    ann, notes = noted(tmp_path, '\n'.join(lines).encode())
    expected = read(tmp_path, bvh())
    expected[2] = np.nan
    np.testing.assert_array_equal(ann['joints'], expected)
    assert 'NaN' in notes


# ------------------------------------------------------------------------------------- bad files
def changed(old, new, count=1):
    assert old in bvh().decode()
    return bvh().decode().replace(old, new, count).encode()


HUGE = bvh_values()
HUGE[2, 1] = 1e308
DEEP = ('HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 0 '
        + 'JOINT a { OFFSET 0 0 0 CHANNELS 0 ' * 3000).encode()
BAD = [
    (b'', 'HIERARCHY: found no HIERARCHY'),
    (b'\xff\xfe\x00', 'file: found damaged text in UTF-16'),
    (bvh()[:300], 'HIERARCHY: found the end inside'), (DEEP, 'more than 1000 joints'),
    (bvh().split(b'MOTION')[0], 'MOTION: found 0 times MOTION'),
    (bvh() + bvh(), 'MOTION: found'), (b'HIERARCHY\nMOTION\n', 'HIERARCHY: found the end'),
    (changed('Frames: 5', 'Frames: 999999999'), 'at most'),
    (changed('Frames: 5', 'Frames: -5'), 'Frames: found -5'),
    (changed('Frame Time: 0.033333', 'Frame Time: x'), "'x'"),
    (changed('Frame Time: 0.033333\n', 'Frame Time: 0.033333\n1 2 3\n'), 'columns'),
    (changed('Frame Time: 0.033333\n', 'Frame Time: 0.033333\n7 '), 'columns'),
    (changed('Frame Time: 0.033333\n', 'Frame Time: 0.033333\nnan '), 'columns'),
    (changed('OFFSET 10 0 0', 'OFFSET 10 0'), 'HIERARCHY: found'),
    (changed('OFFSET 10 0 0', 'OFFSET 10 0 nan'), 'OFFSET that is NaN'),
    (changed('OFFSET 10 0 0', 'OFFSET 10 0 0 0'), "'0' after LeftUpLeg"),
    (changed('OFFSET 10 0 0', 'OFFSET 10 0 0 OFFSET 10 0 0'), "'OFFSET' after"),
    (changed('OFFSET 10 0 0', ''), 'LeftUpLeg without OFFSET'),
    (changed('CHANNELS 3', 'CHANNELS 2'), "'Zrotation' after"),
    (changed('CHANNELS 3', 'CHANNELS 4'), 'LeftUpLeg'),
    (changed('CHANNELS 3', 'CHANNELS -3'), 'LeftUpLeg'),
    (changed('CHANNELS 3', 'CHANNELS 1' + '0' * 5000), 'LeftUpLeg'),
    (changed('CHANNELS 3', 'CHANNELS x'), 'LeftUpLeg'),
    (changed('3 Xrotation Yrotation', '3 Xrotation Xrotation'), 'LeftUpLeg'),
    (changed('Xrotation', 'Wrotation'), 'channels'),
    (changed('JOINT LeftUpLeg', 'ROOT LeftUpLeg'), 'misplaced'),
    (changed('ROOT Hips', 'JOINT Hips'), 'misplaced'),
    (changed('End Site', 'End'), None),
    (changed('LeftUpLeg', 'LeftThigh'), r'HIERARCHY: found Hips LeftThigh.*LeftUpLeg.*left_hip'),
    (changed('LeftLeg', 'LeftUpLeg'), "one joint called 'Left(Up)?Leg'"),
    (bvh(HUGE), 'too large|meters below|infinite'),
    (bvh(bvh_values() * 0 + 1e306), 'too large|body of'),
    (changed('OFFSET 1 2 3', 'OFFSET 1e500 2 3'), 'NaN or infinite'),
    (bvh(bvh_values() + np.eye(1, 44) * 1e5), 'MOTION: found .*meters below'),
]


@pytest.mark.parametrize('case', range(len(BAD)))
def test_bvh_names_bad_line(tmp_path, case):
    content, words = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        if words is None:
            assert read(tmp_path, content).shape == (5, 17, 3)
            return
        with pytest.raises(AnnotationError, match=f'(?s)data.bvh: .*({words})'):
            read(tmp_path, content)


def test_bvh_wrong_unit_is_refused(tmp_path):
    for unit in (1, .1, .001):
        with pytest.raises(AnnotationError, match='meters below|body of .* m.*unit'):
            read(tmp_path, bvh(), unit=unit)


def test_bvh_bad_file_is_skipped_with_its_reason(tmp_path):
    (tmp_path / 'good').mkdir()
    (tmp_path / 'good/a.bvh').write_bytes(bvh())
    (tmp_path / 'bad.bvh').write_bytes(changed('OFFSET 10 0 0', 'OFFSET 10 0'))
    source = BVH(tmp_path, 'cmu', views=2)
    assert [ann['frame_dir'] for ann, _ in source] == ['good/a_v0', 'good/a_v1']
    assert 'bad.bvh: HIERARCHY: found' in str(source.problems[0])


def test_bvh_refuses_too_many_positions(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_MAX_POSITIONS', 99)
    with pytest.raises(AnnotationError, match='Frames: found 5 and 5 rows, .*99 positions'):
        read(tmp_path, bvh())


def test_bvh_options_reach_the_source():
    parser = argparse.ArgumentParser()
    BVH.add_options(parser)
    args = parser.parse_args(['--map', 'cmu', '--unit', '.01', '--up', '-y', '--fps', '120'])
    assert (args.joint_map, args.unit, args.up, args.fps) == ('cmu', .01, '-y', 120)
    assert parser.parse_args([]).joint_map is None
