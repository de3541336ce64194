"""TRC, MVNX, FreeMoCap and C3D files, against the files' own numbers and other readers."""
import argparse

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources import BVH, MVNX, TRC, FreeMoCap
from mofm.sources.mocap.c3d import C3D
from mofm.sources.recognition import resolve
from mofm.structures import LAYOUTS
from mofm.writers import write_bvh, write_trc
from tests.test_sources.native_files import write
from tests.test_sources.native_files.mocap import npy, walk
from tests.test_sources.native_files.mocap_programs import (
    LABELS,
    POSE2SIM,
    c3d,
    freemocap_table,
    markers,
    mediapipe,
    mvnx,
    plug_in_gait,
    segments,
    theia,
    trc,
    z_up,
)

COCO = LAYOUTS['coco17'].joints
LIMBS = list(range(5, 17))


def read(reader, path, content, **kwargs):
    """Recordings of a file, and the notes without that of the map."""
    path.write_bytes(content)
    source = reader(path, strict=True, **kwargs)
    anns = [ann for ann, _ in source.recordings('', content)]
    return anns, ' / '.join(note for note in source.notes if '--map' not in note)


def joints_of(reader, path, content, **kwargs):
    """Joints of the single recording of a file without notes."""
    (ann, ), notes = read(reader, path, content, **kwargs)
    assert notes == ''
    return ann['joints']


# ------------------------------------------------------------------------------------------- TRC
@pytest.mark.parametrize('kwargs', [
    {}, dict(sub_header=False), dict(units='mm'), dict(units='cm'), dict(units='M')])
def test_trc_gives_joints_in_meters_whatever_head_and_unit(tmp_path, kwargs):
    scale = dict(mm=1000, cm=100).get(kwargs.get('units'), 1)
    joints = joints_of(TRC, tmp_path / 'a.trc', trc(markers() * scale, **kwargs))
    np.testing.assert_allclose(joints[:, LIMBS], walk(5, 'coco17')[:, LIMBS], atol=1e-6)
    np.testing.assert_allclose(joints[:, 0], walk(5, 'coco17')[:, 0], atol=1e-6)
    assert np.isnan(joints[:, 1:5]).all()


@pytest.mark.parametrize('blank', [True, False])
def test_trc_blank_or_nan_marker_is_missing(tmp_path, blank):
    """In the middle of a row and at its end, whose tabs editors strip."""
    values = markers()
    values[2, POSE2SIM.index('RKnee')] = values[3, -1] = np.nan
    content = trc(values, blank=blank)
    for text in (content, b'\n'.join(line.rstrip() for line in content.split(b'\n'))):
        joints = joints_of(TRC, tmp_path / 'a.trc', text)
        lost = np.isnan(joints).all(-1)
        assert lost[:, 5:].sum() == 2
        assert lost[2, COCO.index('right_knee')]
        assert lost[3, COCO.index('left_wrist')]
        np.testing.assert_allclose(joints[2, 11:14], walk(5, 'coco17')[2, 11:14], atol=1e-6)


def test_trc_of_spaces_and_other_line_ends_is_read(tmp_path):
    plain = joints_of(TRC, tmp_path / 'a.trc', trc())
    for content in (trc().replace(b'\t', b'  '), trc().replace(b'\n', b'\r\n'),
                    b'\xef\xbb\xbf' + trc(), trc().replace(b'\t\t\t', b'\t'),
                    trc().replace(b'Frame#', b'FRAME#')):
        np.testing.assert_array_equal(joints_of(TRC, tmp_path / 'a.trc', content), plain)


@pytest.mark.parametrize('layout', ['coco17', 'h36m17', 'smpl24', 'halpe26'])
def test_trc_and_bvh_of_this_package_are_read_by_the_names_of_their_joints(tmp_path, layout):
    joints = walk(4, layout)
    write_trc(tmp_path / 'a.trc', joints, layout, 50)
    (ann, _), = TRC(tmp_path / 'a.trc', strict=True).recordings(
        '', (tmp_path / 'a.trc').read_bytes())
    np.testing.assert_allclose(ann['joints'][:, LIMBS], walk(4, 'coco17')[:, LIMBS], atol=1e-6)
    write_bvh(tmp_path / 'a.bvh', joints, layout, 50)
    source = BVH(tmp_path / 'a.bvh', strict=True)
    (bone, _), = source.recordings('', (tmp_path / 'a.bvh').read_bytes())
    np.testing.assert_allclose(bone['joints'][:, LIMBS], walk(4, 'coco17')[:, LIMBS], atol=1e-4)
    assert (ann['fps'], bone['fps']) == (50, 50)


@pytest.mark.parametrize(('old', 'new', 'words'), [
    ((b'\t', b','), (), ["separated by ','"]), ((b'\t', b';'), (), ["separated by ';'"]),
    ((b'.', b','), (b'walk,trc', b'walk.trc'), ['decimal points']),
    ((b'.', b','), (b'\t', b';'), ["separated by ';'", 'decimal points'])])
def test_trc_of_a_spreadsheet_is_read(tmp_path, old, new, words):
    """Commas or semicolons between cells, decimal commas, and a marker without cells."""
    values = markers()
    values[2, 3] = np.nan
    plain = joints_of(TRC, tmp_path / 'a.trc', trc(values))
    content = trc(values).replace(*old)
    (ann, ), notes = read(TRC, tmp_path / 'a.trc', content.replace(*new) if new else content)
    np.testing.assert_array_equal(ann['joints'], plain)
    assert all(word in notes for word in words)


def test_trc_frame_rate_is_that_of_the_head_or_of_the_seconds(tmp_path):
    for content, kwargs, fps in ((trc(rate='120'), {}, 120), (trc(rate='x'), {}, 60),
                                 (trc(rate='x'), dict(fps=25), 25)):
        (ann, ), _ = read(TRC, tmp_path / 'a.trc', content, **kwargs)
        assert ann['fps'] == pytest.approx(fps, abs=.1)


def test_trc_file_without_tabs_between_names_or_with_other_names_needs_a_map(tmp_path):
    other = [f'M{i}' for i in range(18)]
    with pytest.raises(AnnotationError, match='markers: found M0 M1.*--map'):
        read(TRC, tmp_path / 'a.trc', trc(names=other))
    (tmp_path / 'map.json').write_text('{"nose": "M11", "left_ankle": "M7", "right_ankle": "M3"}')
    joints = joints_of(TRC, tmp_path / 'a.trc', trc(names=other), joint_map=tmp_path / 'map.json')
    assert np.flatnonzero(np.isfinite(joints[0, :, 0])).tolist() == [0, 15, 16]


def test_trc_in_another_unit_than_its_head_is_read_with_the_one_that_fits(tmp_path):
    """Some programs write meters and say millimeters."""
    with pytest.raises(AnnotationError, match='a body of 0.00.* --unit 1 fits'):
        read(TRC, tmp_path / 'a.trc', trc(units='mm'))
    joints = joints_of(TRC, tmp_path / 'a.trc', trc(units='mm'), unit=1)
    np.testing.assert_allclose(joints[:, LIMBS], walk(5, 'coco17')[:, LIMBS], atol=1e-6)


def test_trc_z_up_is_noted_with_the_axis(tmp_path):
    (ann, ), notes = read(TRC, tmp_path / 'a.trc', trc(z_up(markers())))
    assert 'in most with --up=z:' in notes
    joints = joints_of(TRC, tmp_path / 'a.trc', trc(z_up(markers())), up='z')
    np.testing.assert_allclose(joints[:, LIMBS], walk(5, 'coco17')[:, LIMBS], atol=1e-6)


@pytest.mark.parametrize(('content', 'words'), [
    (b'', 'head: found 0 lines'), (trc().replace(b'Frame#', b'Fram'), 'head: found'),
    (trc()[:300], 'head: found'), (trc().replace(b'\n1\t', b'\n1\t7\t'), 'rows: found'),
    (trc(np.full((5, 18, 3), np.nan)), 'rows: found a body of 0 m'),
    (trc().replace(b'1.6', b'x.6'), 'rows: found'), (trc().replace(b'1.6', b'inf1.6'), 'rows'),
    (trc(names=['a'] * 18), 'markers: found')])
def test_trc_names_bad_line(tmp_path, content, words):
    with pytest.raises(AnnotationError, match=f'a.trc: {words}'):
        read(TRC, tmp_path / 'a.trc', content)


# ------------------------------------------------------------------------------------------ MVNX
def test_mvnx_segments_become_joints_without_calibration_poses(tmp_path):
    (ann, ), notes = read(MVNX, tmp_path / 'a.mvnx', mvnx())
    assert (ann['frame_dir'], ann['fps'], notes) == ('a', 240, '')
    np.testing.assert_allclose(ann['joints'][:, LIMBS], walk(5, 'coco17')[:, LIMBS], atol=1e-6)
    np.testing.assert_allclose(ann['joints'][:, 0], z_up(walk(5, 'smpl24'))[:, 15, [0, 2, 1]]
                               * [1, 1, -1], atol=1e-6)


def test_mvnx_two_persons_are_two_recordings(tmp_path):
    anns, _ = read(MVNX, tmp_path / 'a.mvnx', mvnx(subjects=2))
    assert [ann['frame_dir'] for ann in anns] == ['a/0', 'a/1']
    np.testing.assert_array_equal(anns[0]['joints'], anns[1]['joints'])


ENTITIES = ('<!DOCTYPE a [<!ENTITY b "' + 'x' * 100 + '">' + ''.join(
    f'<!ENTITY c{i} "{"&b;" * 100}">' for i in range(9)) + ']>')
FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(('content', 'words'), [
    (b'', 'file: found no element'), (mvnx(before=ENTITIES), 'file: found a document type'),
    (mvnx(before=FILE), 'file: found a document type'), (mvnx()[:-300], 'file: found'),
    (b'<mvnx></mvnx>', 'mvnx: found no <subject>'),
    (mvnx().replace(b'type="normal"', b'type="npose"'), 'subject Suit: found no frames'),
    (mvnx().replace(b'label="RightFoot"', b'label="Foot"'), "one joint called 'RightFoot'"),
    (mvnx(segments()[:, :22]), 'subject Suit: found'),
    (mvnx().replace(b'<position>', b'<position>inf '), 'subject Suit: found')])
def test_mvnx_names_fault_and_refuses_entities(tmp_path, content, words):
    with pytest.raises(AnnotationError, match=f'(?s)a.mvnx: .*{words}'):
        read(MVNX, tmp_path / 'a.mvnx', content)


# ------------------------------------------------------------------------------------- FreeMoCap
@pytest.mark.parametrize(('name', 'content'), [
    ('mediapipe_body_3d_xyz.csv', freemocap_table()),
    ('a.csv', freemocap_table(prefix='body_')), ('skeleton_body.npy', npy(mediapipe())),
    ('mediaPipeSkel_3d_body_hands_face.npy', npy(mediapipe(joints=553)))])
def test_freemocap_gives_all_joints_of_coco(tmp_path, name, content):
    joints = joints_of(FreeMoCap, tmp_path / name, content)
    np.testing.assert_allclose(joints, walk(5, 'coco17'), atol=1e-6)


def test_freemocap_in_meters_is_recognized_by_its_name(tmp_path):
    path = tmp_path / 'mediapipe_body_3d_xyz.csv'
    content = freemocap_table(mediapipe() / 1000)
    (ann, ), notes = read(FreeMoCap, path, content)
    assert resolve(path).source == 'freemocap'
    np.testing.assert_allclose(ann['joints'], walk(5, 'coco17'), atol=1e-3)
    assert notes.startswith('a unit of 1 m is taken')


def test_freemocap_nan_and_blank_cells_are_missing(tmp_path):
    values = mediapipe()
    values[1, 12] = np.nan
    for name, content in (('a.csv', freemocap_table(values)), ('a.npy', npy(values))):
        lost = np.isnan(joints_of(FreeMoCap, tmp_path / name, content)).any(-1)
        assert np.argwhere(lost).tolist() == [[1, COCO.index('right_shoulder')]]


def test_freemocap_reads_each_recording_once(tmp_path):
    """A session has the same joints in several files, and other arrays beside them."""
    output = {'mediapipe_body_3d_xyz.csv': freemocap_table(),
              'mediapipe_body_3d_xyz.npy': npy(mediapipe()),
              'mediapipe_face_3d_xyz.csv': b'a,b\n', 'raw_data/mediapipe2dData.npy': npy(
                  np.zeros((3, 5, 33, 2)))}
    write(tmp_path, {f'{rec}/output_data/{name}': content for rec in ('rec 1', 'rec 2')
                     for name, content in output.items()})
    anns = [ann for ann, _ in FreeMoCap(tmp_path, strict=True, fps=30)]
    assert [ann['frame_dir'] for ann in anns] == ['rec 1_v0', 'rec 2_v0']
    assert [ann['fps'] for ann in anns] == [30, 30]


@pytest.mark.parametrize(('name', 'content', 'words'), [
    ('a.csv', b'', 'columns: found'), ('a.csv', b'x,y\n1,2\n', 'none of them nose_x'),
    ('a.csv', freemocap_table().split(b'\n')[0], 'rows: found no row'),
    ('a.csv', freemocap_table() + b'1,2\n', 'rows: found'),
    ('a.npy', npy(mediapipe()[:, :21]), r'shape \(5, 21, 3\)'), ('a.npy', b'', 'file: found')])
def test_freemocap_names_fault(tmp_path, name, content, words):
    with pytest.raises(AnnotationError, match=f'{name}: .*{words}'):
        read(FreeMoCap, tmp_path / name, content)


# ------------------------------------------------------------------------------------------- C3D
def expected_of_markers(values=None):
    """(T, 17, 3) meters of Plug-in Gait, y up: the mean of two markers at head, wrist and hip."""
    values = plug_in_gait() if values is None else values
    parts = dict(nose=['LFHD', 'RFHD'], left_ear=['LFHD', 'LBHD'], right_ear=['RFHD', 'RBHD'])
    for side in ('left', 'right'):
        s = side[0].upper()
        parts.update({f'{side}_shoulder': [s + 'SHO'], f'{side}_elbow': [s + 'ELB'],
                      f'{side}_wrist': [s + 'WRA', s + 'WRB'], f'{side}_knee': [s + 'KNE'],
                      f'{side}_hip': [s + 'ASI', s + 'PSI'], f'{side}_ankle': [s + 'ANK']})
    out = np.full((len(values), 17, 3), np.nan)
    for joint, names in parts.items():
        out[:, COCO.index(joint)] = np.mean(
            [values[:, LABELS.index(name)] for name in names], 0)
    return out[..., [0, 2, 1]] * [1, 1, -1] / 1000


@pytest.mark.parametrize('kwargs', [
    {}, dict(scale=.1), dict(processor=86), dict(units='m'), dict(units=''), dict(screen='')])
def test_c3d_gives_joints_in_meters(tmp_path, kwargs):
    """Floats and integers, bytes of Intel and MIPS, units in the file or not."""
    values = plug_in_gait() / (1000 if kwargs.get('units') == 'm' else 1)
    (ann, ), notes = read(C3D, tmp_path / 'a.c3d', c3d(values, **kwargs))
    assert (ann['frame_dir'], ann['fps'], notes) == ('a', 100, '')
    np.testing.assert_allclose(ann['joints'], expected_of_markers(), atol=1e-4, equal_nan=True)


def test_c3d_equals_another_library(tmp_path):
    """ezc3d reads the same labels, points, rate and missing markers of the file."""
    ezc3d = pytest.importorskip('ezc3d', reason='only the tests need it')
    residual = np.zeros((5, len(LABELS)))
    residual[2, LABELS.index('LKNE')] = -1
    content = c3d(residual=residual)
    joints = joints_of(C3D, tmp_path / 'a.c3d', content)
    other = ezc3d.c3d(str(tmp_path / 'a.c3d'))
    labels = other['parameters']['POINT']['LABELS']['value']
    assert labels == LABELS
    assert other['parameters']['POINT']['RATE']['value'] == [100]
    points = other['data']['points'][:3].transpose(2, 1, 0)  # (T, J, 3)
    np.testing.assert_allclose(joints, expected_of_markers(points), equal_nan=True, atol=1e-6)
    assert np.argwhere(np.isnan(joints[:, 5:]).any(-1)).tolist() == [
        [2, COCO.index('left_knee') - 5]]


def test_c3d_written_by_another_library_is_read(tmp_path):
    ezc3d = pytest.importorskip('ezc3d', reason='only the tests need it')
    file = ezc3d.c3d()
    file['parameters']['POINT']['LABELS']['value'] = [f'Anna:{label}' for label in LABELS]
    file['parameters']['POINT']['UNITS']['value'] = ['mm']
    file['parameters']['POINT']['RATE']['value'] = [250.]
    points = np.ones((4, len(LABELS), 5))
    points[:3] = plug_in_gait().transpose(2, 1, 0)
    points[:3, LABELS.index('RANK'), 1] = np.nan
    file['data']['points'] = points
    file.write(str(tmp_path / 'b.c3d'))
    (ann, ), notes = read(C3D, tmp_path / 'a.c3d', (tmp_path / 'b.c3d').read_bytes())
    assert (ann['fps'], notes) == (250, '')
    expected = expected_of_markers()
    expected[1, COCO.index('right_ankle')] = np.nan
    np.testing.assert_allclose(ann['joints'], expected, atol=1e-6, equal_nan=True)


def test_c3d_more_than_255_labels_are_read(tmp_path):
    labels = [f'*{i}' for i in range(300)] + LABELS
    values = np.concatenate([np.zeros((5, 300, 3)), plug_in_gait()], 1)
    joints = joints_of(C3D, tmp_path / 'a.c3d', c3d(values, labels))
    np.testing.assert_allclose(joints, expected_of_markers(), atol=1e-4, equal_nan=True)


def test_c3d_of_theia_has_the_origins_of_segments(tmp_path):
    ezc3d = pytest.importorskip('ezc3d')
    content = c3d(segments=theia())
    joints = joints_of(C3D, tmp_path / 'a.c3d', content)
    np.testing.assert_allclose(joints[:, LIMBS], walk(5, 'coco17')[:, LIMBS], atol=1e-6)
    other = ezc3d.c3d(str(tmp_path / 'a.c3d'))
    assert other['parameters']['ROTATION']['LABELS']['value'][2] == 'l_uarm_4X4'
    origin = other['data']['rotations'][:3, 3, 2].T / 1000  # (T, 3), z up
    np.testing.assert_allclose(z_up(joints[:, COCO.index('left_shoulder')]), origin, atol=1e-6)


def test_c3d_of_theia_that_is_cut_or_has_no_segment_is_named(tmp_path):
    content, row = c3d(segments=theia()), 4 * 17 * len(theia())
    start = 1024  # a block of the header, one of parameters
    (ann, ), notes = read(C3D, tmp_path / 'a.c3d', content[:start + 2 * row + 3])
    assert 'the file ends before its last frame' in notes
    assert len(ann['joints']) == 2
    with pytest.raises(AnnotationError, match='file: found ValueError: 14 segments in 25 numbers'):
        read(C3D, tmp_path / 'a.c3d', content[:start + 100])


def test_c3d_persons_with_the_same_labels_are_recordings(tmp_path):
    """Each with its joints; an object and points without a name are passed over."""
    body = plug_in_gait()
    labels = [*(f'A:{label}' for label in LABELS), *(f'B:{label}' for label in LABELS),
              'Stick:LKNE', '*201', '*202']
    values = np.concatenate([body, body + [500, 0, 0], np.ones((5, 3, 3))], 1)
    anns, notes = read(C3D, tmp_path / 'a.c3d', c3d(values, labels))
    assert [ann['frame_dir'] for ann in anns] == ['a/0', 'a/1']
    alone = joints_of(C3D, tmp_path / 'a.c3d', c3d(body, LABELS))
    np.testing.assert_allclose(anns[0]['joints'], alone, atol=1e-6)
    np.testing.assert_allclose(anns[1]['joints'], alone + [.5, 0, 0], atol=1e-6)
    assert 'markers of no person' in notes


def test_c3d_of_legs_only_is_read(tmp_path):
    """As gait laboratories record them, with angles of the model as further points."""
    index = [i for i, label in enumerate(LABELS) if label[1:] in ('ASI', 'PSI', 'KNE', 'ANK')]
    labels = [*(LABELS[i] for i in index), 'LKneeAngles', 'RHipAngles']
    values = np.concatenate([plug_in_gait()[:, index], np.full((5, 2, 3), 40.)], 1)
    joints = joints_of(C3D, tmp_path / 'a.c3d', c3d(values, labels))
    np.testing.assert_allclose(joints[:, 11:], walk(5, 'coco17')[:, 11:], atol=1e-6)
    assert np.isnan(joints[:, :11]).all()


def test_c3d_marker_at_the_origin_is_missing(tmp_path):
    values = plug_in_gait()
    values[3, LABELS.index('LSHO')] = 0
    joints = joints_of(C3D, tmp_path / 'a.c3d', c3d(values))
    assert np.argwhere(np.isnan(joints[:, 5:]).any(-1)).tolist() == [[3, 0]]


def test_c3d_vertical_axis_is_that_of_the_file(tmp_path):
    """``Y_SCREEN``; the option wins, and a note says when heads are not up."""
    y_up = plug_in_gait()[..., [0, 2, 1]] * [1, 1, -1]
    expected = expected_of_markers()
    for kwargs, options in ((dict(screen='+Y'), {}), (dict(screen='+Z'), dict(up='y'))):
        joints = joints_of(C3D, tmp_path / 'a.c3d', c3d(y_up, **kwargs), **options)
        np.testing.assert_allclose(joints, expected, atol=1e-4, equal_nan=True)
    assert 'in most with --up=y:' in read(C3D, tmp_path / 'a.c3d', c3d(y_up))[1]


def test_c3d_cut_file_has_the_frames_that_are_there(tmp_path):
    (ann, ), notes = read(C3D, tmp_path / 'a.c3d', c3d()[:-900])
    assert len(ann['joints']) < 5
    assert 'ends before its last frame' in notes


@pytest.mark.parametrize(('content', 'words'), [
    (b'', 'file: found'), (c3d()[:600], 'file: found|POINT'), (bytes(2000), 'file: found'),
    (c3d()[:-2048], 'POINT: found 0 frames'), (c3d(labels=[]), 'file: found'),
    (c3d(labels=['x' + label for label in LABELS]), 'LABELS: found xLFHD.*--map')])
def test_c3d_names_fault(tmp_path, content, words):
    with pytest.raises(AnnotationError, match=f'(?s)a.c3d: .*({words})'):
        read(C3D, tmp_path / 'a.c3d', content)


def test_c3d_without_the_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'c3d', None)
    (tmp_path / 'a.c3d').write_bytes(c3d())
    with pytest.raises(ImportError, match=r'mofm\[sources\]'):
        C3D(tmp_path)


def test_readers_of_motion_capture_share_their_options():
    for reader, default in ((TRC, ('y', 1)), (MVNX, ('z', 1)), (FreeMoCap, ('z', .001)),
                            (C3D, ('z', .001))):
        parser = argparse.ArgumentParser()
        reader.add_options(parser)
        args = vars(parser.parse_args(['--up', '-y', '--unit', '.01', '--fps', '50']))
        assert (args['up'], args['unit'], args['fps']) == ('-y', .01, 50)
        assert (reader.default_up, reader.default_unit) == default
