"""PKU-MMD and Charades: joints, labels, seconds, splits, bad files."""

import numpy as np
import pytest

from mofm.annotations import LABEL_NAMES, AnnotationError
from mofm.sources import PKUMMD, Charades
from mofm.structures import convert
from tests.test_sources.native_files import write
from tests.test_sources.native_files.ntu import kinect_body
from tests.test_sources.native_files.smarthome import kpts, tsu_keypoints
from tests.test_sources.native_files.untrimmed import (
    CHARADES_FILES,
    PKU_FILES,
    pku,
    pku_joints,
    table,
)


def test_pku_mmd_gives_views_splits_and_segments(tmp_path):
    source = PKUMMD(write(tmp_path, PKU_FILES), strict=True, views=2)
    items = {ann['frame_dir']: (ann, splits) for ann, splits in source}
    assert sorted(items) == ['0002-L_v0', '0002-L_v1', '0007-M_v0', '0007-M_v1']
    ann, splits = items['0002-L_v0']
    assert splits == ('cs_train', 'cv_test')
    assert items['0007-M_v1'][1] == ('cs_test', 'cv_train')
    # label 3 of the file is the third name
    assert ann['segments'].tolist() == [[2, 1, 4], [50, 4, 7]]
    assert ann['label'] == 0
    names = LABEL_NAMES['pku_mmd']
    assert names[2] == 'brushing teeth'
    assert names[50] == 'writing'
    score = ann['keypoint_score'].any(-1)
    assert score.shape == (2, 8)
    assert score[0].all()
    assert score[1].tolist() == [False] * 5 + [True] * 3  # zeros in the file: nobody


def test_pku_mmd_joints_equal_the_file(tmp_path):
    """The joints of the file in its order: both people, in meters."""
    source = PKUMMD(write(tmp_path, PKU_FILES))
    name, = (f for f in source.files if '0002-L' in f)
    ann, _ = source.read(name, source.load(name))
    joints = pku_joints().swapaxes(0, 1)
    np.testing.assert_allclose(ann['joints'][0], joints[0], atol=1e-4)
    np.testing.assert_allclose(ann['joints'][1, 5:], joints[1, 5:], atol=1e-4)
    assert np.isnan(ann['joints'][1, :5]).all()
    coco, _ = convert(joints, np.ones(joints.shape[:-1]), 'kinect25')
    np.testing.assert_array_equal(coco[..., 9, :], joints[..., 6, :])  # the left wrist


def test_pku_mmd_labels_may_lie_beside_joints(tmp_path):
    """Then labels may lie beside the joints."""
    files = {'0002-L.skeleton': PKU_FILES['Data/PKU_Skeleton_Renew/0002-L.txt'],
             '0002-L.txt': b'3,1,4,2\n', 'cross-subject.txt': PKU_FILES['Split/cross-subject.txt']}
    (ann, _), = PKUMMD(write(tmp_path, files), strict=True)
    assert ann['segments'].tolist() == [[2, 1, 4]]


@pytest.mark.parametrize(('step', 'persons'), [(0, [list(range(8))]),
                                               (2, [[0, 1, 2, 3], [4, 5, 6, 7]])])
def test_pku_mmd_person_who_changes_the_place_goes_on(tmp_path, step, persons):
    """At the second place of the rows from frame 4 on, at the same spot or 2 m away."""
    body = kinect_body(8, motion=0)[..., :3]
    rows = np.zeros((8, 2, 25, 3))
    rows[:4, 0], rows[4:, 1] = body[:4], body[4:] + [step, 0, 0]
    name = 'Data/PKU_Skeleton_Renew/0002-L.txt'
    (ann, _), *_ = PKUMMD(write(tmp_path, {**PKU_FILES, name: pku(rows)}), strict=True,
                          keep_3d=True)
    assert ann['frame_dir'] == '0002-L'
    assert [np.flatnonzero(row).tolist() for row in ann['keypoint_score'].any(-1)] == persons


@pytest.mark.parametrize(('file', 'content', 'message'), [
    ('Label/Train_Label_PKU_final/0002-L.txt', b'52,1,4,2\n', r'a label in \[1, 51\]'),
    ('Label/Train_Label_PKU_final/0002-L.txt', b'1,4,1,2\n', 'the first and the last'),
    ('Label/Train_Label_PKU_final/0002-L.txt', b'1,4\n', 'found 2 numbers, expected 4'),
    ('Data/PKU_Skeleton_Renew/0002-L.txt', pku(pku_joints()[:, 0]), '75 numbers, expected 150'),
    ('Split/cross-subject.txt', b'Training videos: 0002-L', 'Validation videos')])
def test_pku_mmd_bad_file_is_named(tmp_path, file, content, message):
    with pytest.raises(AnnotationError, match=message):
        list(PKUMMD(write(tmp_path, {**PKU_FILES, file: content}), strict=True))


def test_pku_mmd_recording_without_labels_is_reported(tmp_path):
    files = {k: v for k, v in PKU_FILES.items() if '0007-M' not in k or 'Label' not in k}
    source = PKUMMD(write(tmp_path, files))
    assert [ann['frame_dir'] for ann, _ in source] == ['0002-L_v0']
    assert '0007-M.txt in a folder of labels' in str(source.problems[0])


def test_charades_seconds_become_frames(tmp_path):
    """12 frames in 4 seconds: frame f is at f / 3, strictly between start and end."""
    (a, test), (b, train) = Charades(write(tmp_path, CHARADES_FILES), strict=True,
                                     img_shape=(360, 480))
    if a['frame_dir'] == 'YSKX3':
        (a, test), (b, train) = (b, train), (a, test)
    assert test == ('test', )
    assert train == ('train', )
    assert 'segments' not in a
    assert b['frame_dir'] == 'YSKX3'
    assert b['img_shape'] == (360, 480)
    frames = {92: [f for f in range(12) if .5 < f / 3 < 3.], 156: [f for f in range(12)
                                                                    if 1.1 < f / 3 < 99]}
    assert {label: list(range(first, last + 1)) for label, first, last in
            b['segments'].tolist()} == frames
    np.testing.assert_allclose(b['keypoint'][0][:, 5:], tsu_keypoints(12)[:, 5:], atol=.25)
    assert len(set(LABEL_NAMES['charades'])) == 157
    assert LABEL_NAMES['charades'][59] == 'Sitting in a chair'


def test_charades_short_actions_give_no_segments(tmp_path):
    files = {**CHARADES_FILES,
             'YSKX3.npz': kpts(np.stack([tsu_keypoints(12), tsu_keypoints(12)])),
             'Charades_v1_train.csv': table(('YSKX3', 'c000 0.40 0.60;c001 3.90 9.00', 4.0))}
    ann, = (ann for ann, _ in Charades(write(tmp_path, files), strict=True)
            if ann['frame_dir'] == 'YSKX3')
    assert len(ann['keypoint']) == 2
    assert 'segments' not in ann


@pytest.mark.parametrize(('row', 'found'), [
    (('YSKX3', 'c157 0.00 1.00', 4.0), 'c157'), (('YSKX3', 'c001 0.00', 4.0), 'c001 0.00'),
    (('YSKX3', '', 0), 'length 0.0'), (('yskx', '', 4.), 'yskx')])
def test_charades_bad_table_line_is_named(tmp_path, row, found):
    files = {**CHARADES_FILES, 'Charades_v1_train.csv': table(row)}
    with pytest.raises(AnnotationError, match=f'Charades_v1_train.csv.*line 2.*{found}'):
        Charades(write(tmp_path, files))
    with pytest.raises(AnnotationError, match='no column actions'):
        Charades(write(tmp_path, {**CHARADES_FILES, 'Charades_v1_train.csv': b'id,length\n'}))
