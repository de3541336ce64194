"""Poses in 2D in TRC files, as Sports2D writes them in pixels and in meters."""
import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources import TRC, TRC2D
from mofm.sources.recognition import resolve
from mofm.structures import LAYOUTS
from tests.test_sources.native_files import write
from tests.test_sources.native_files.mocap_programs import POSE2SIM, flat, markers, trc

PLACES = [LAYOUTS['coco17'].joints.index(joint) for joint in (
    'nose', 'left_knee', 'right_knee', 'left_wrist')]
NAMES = [POSE2SIM.index(name) for name in ('Nose', 'LKnee', 'RKnee', 'LWrist')]


def read(path, **options):
    source = TRC2D(path, strict=True, **options)
    return [ann for ann, _ in source], source


def test_pixels_are_the_keypoints(tmp_path):
    path = tmp_path / 'walk_px_person00.trc'
    path.write_bytes(trc(flat(), 'px'))
    assert resolve(path).source == 'trc_2d'
    (ann, ), _ = read(path)
    np.testing.assert_allclose(ann['keypoint'][0][:, PLACES], flat()[:, NAMES, :2], rtol=1e-3)
    assert ann['keypoint_score'][0][:, PLACES].all()
    assert not ann['keypoint_score'][0][:, 1:5].any()
    assert ann['fps'] == 60


def test_meters_become_pixels_with_y_down(tmp_path):
    path = tmp_path / 'walk_m_person00.trc'
    path.write_bytes(trc(flat('m'), 'm'))
    assert resolve(path).source == 'trc_2d'
    (ann, ), source = read(path)
    points = 400 * flat('m')[..., :2]
    points = np.stack([points[..., 0] - points[..., 0].min(),
                       points[..., 1].max() - points[..., 1]], -1)
    np.testing.assert_allclose(ann['keypoint'][0][:, PLACES], points[:, NAMES], atol=.3)
    assert 'positions become pixels, 400 a meter, y down' in source.notes


def test_millimeters_are_no_pixels(tmp_path):
    (tmp_path / 'm.trc').write_bytes(trc(flat('m'), 'm'))
    (tmp_path / 'mm.trc').write_bytes(trc(1000 * flat('m'), 'mm'))
    keypoint, millimeters = (read(tmp_path / f'{unit}.trc')[0][0]['keypoint']
                             for unit in ('m', 'mm'))
    np.testing.assert_allclose(millimeters, keypoint, atol=.3)


def test_person_who_comes_into_view_later_is_recognized_by_pixels(tmp_path):
    path = tmp_path / 'walk_px_person01.trc'
    path.write_bytes(trc(np.concatenate([np.full((2000, 18, 3), np.nan), flat()]), 'px'))
    assert len(path.read_bytes()) > 2**16
    assert resolve(path).source == 'trc_2d'


def test_depths_that_never_change_are_no_third_dimension(tmp_path):
    """Sports2D gives the markers of a person who is seen from the side depths of a table."""
    values = flat('m')
    values[..., 1] += np.linspace(0, .1, len(values))[:, None]
    values[..., 2] = np.linspace(-.2, .2, len(POSE2SIM))
    values[2, POSE2SIM.index('LKnee')] = np.nan
    path = tmp_path / 'walk_m_person00.trc'
    path.write_bytes(trc(values, 'm'))
    assert resolve(path).source == 'trc_2d'
    (ann, ), _ = read(path, max_gap=0)
    values[..., 2] = 0
    path.write_bytes(trc(values, 'm'))
    np.testing.assert_array_equal(ann['keypoint'], read(path, max_gap=0)[0][0]['keypoint'])
    still = np.repeat(markers(5)[:1], 5, 0)  # a pose in 3D that is held
    path.write_bytes(trc(still, 'm'))
    assert resolve(path).source == 'trc'


def test_missing_markers_are_missing_joints(tmp_path):
    values = flat()
    values[2, POSE2SIM.index('LKnee')] = np.nan
    (tmp_path / 'a.trc').write_bytes(trc(values, 'px'))
    (ann, ), _ = read(tmp_path / 'a.trc', max_gap=0)
    assert np.argwhere(ann['keypoint_score'][0][:, PLACES] == 0).tolist() == [[2, 1]]


def test_file_in_meters_beside_pixels_is_passed_over(tmp_path):
    write(tmp_path, {'walk_px_person00.trc': trc(flat(), 'px'),
                     'walk_m_person00.trc': trc(flat('m'), 'm'),
                     'run_m_person00.trc': trc(flat('m'), 'm')})
    anns, source = read(tmp_path)
    assert [ann['frame_dir'] for ann in anns] == ['run_m_person00', 'walk_px_person00']
    assert 'files in meters are passed over beside those in pixels' in source.notes


def test_readers_of_2d_and_3d_name_each_other(tmp_path):
    (tmp_path / 'a.trc').write_bytes(trc(flat('m'), 'm'))
    with pytest.raises(AnnotationError, match='positions in 2D, in m, expected .* trc_2d reads'):
        list(TRC(tmp_path / 'a.trc', strict=True))
    (tmp_path / 'b.trc').write_bytes(trc(markers()))
    assert resolve(tmp_path / 'b.trc').source == 'trc'
    with pytest.raises(AnnotationError, match='positions in 3D, expected z of 0'):
        read(tmp_path / 'b.trc')
