"""Markers in the text exports of Nexus, Qualisys, Motive and Visual3D."""
import re

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources import C3D, MarkerTable
from mofm.sources.recognition import resolve
from tests.test_sources.native_files import write
from tests.test_sources.native_files.mocap import walk
from tests.test_sources.native_files.mocap_programs import (
    LABELS,
    c3d,
    motive,
    nexus,
    plug_in_gait,
    qualisys,
    visual3d,
)

MARKERS = plug_in_gait()[:, :-2]  # (T, J, 3)
DEVICES = ('Devices\n1000\n,,Plate 1 - Force,,\nFrame,Sub Frame,Fx,Fy,Fz\n,,N,N,N\n'
           + ''.join(f'101,{i},1,2,-700\n' for i in range(9)))


def read(path, content, **options):
    path.write_bytes(content)
    source = MarkerTable(path, strict=True, **options)
    return [ann for ann, _ in source.recordings('', content)], ' / '.join(source.notes)


def of_c3d(tmp_path, values=MARKERS):
    """The joints of the same markers in a C3D file."""
    content = c3d(values, LABELS[:-2])
    (tmp_path / 'other.c3d').write_bytes(content)
    (ann, _), = C3D(tmp_path / 'other.c3d', strict=True).recordings('', content)
    return ann['joints']


@pytest.mark.parametrize('content', [
    nexus(), nexus(before=DEVICES), nexus(missing='0'), qualisys(), qualisys(times=True),
    b'FILE_VERSION\t2.0.0\n' + qualisys(), re.sub(b'Frame\t.*\n', b'', qualisys(times=True)),
    nexus().replace(b',', b';').replace(b'.', b','), nexus().replace(b',', b'\t')])
def test_markers_are_those_of_a_c3d_file(tmp_path, content):
    path = tmp_path / 'walk.csv'
    (ann, ), notes = read(path, content)
    assert resolve(path).source == 'marker_table'
    np.testing.assert_allclose(ann['joints'], of_c3d(tmp_path), atol=2e-5)
    assert ann['fps'] == 100
    assert notes == 'the names of the joints are those of --map plug_in_gait'


@pytest.mark.parametrize('write_table', [nexus, qualisys])
def test_blank_cells_and_the_origin_are_missing_markers(tmp_path, write_table):
    values = MARKERS.copy()
    values[2, LABELS.index('LKNE')] = values[3, -1] = np.nan
    (ann, ), _ = read(tmp_path / 'a.csv', write_table(values))
    np.testing.assert_array_equal(np.isnan(ann['joints']), np.isnan(of_c3d(
        tmp_path, np.nan_to_num(values))))
    assert np.isnan(ann['joints'][:, 5:]).any(-1).sum() == 2


def test_rows_that_begin_with_blank_cells_are_frames(tmp_path):
    values = MARKERS.copy()
    values[:2, 0] = values[1] = np.nan
    content = re.sub(rb'(?<=[\t\n])0\.000(?=[\t\n])', b'', qualisys(values))
    (ann, ), _ = read(tmp_path / 'a.tsv', content)
    np.testing.assert_array_equal(np.isnan(ann['joints'][:, 5:]).all((1, 2)), np.arange(5) == 1)


def test_decimal_commas_are_no_separators_in_long_files(tmp_path):
    values = np.repeat(MARKERS, 100, 0)
    (ann, ), _ = read(tmp_path / 'a.tsv', qualisys(values).replace(b'.', b','))
    np.testing.assert_allclose(ann['joints'], of_c3d(tmp_path, values), atol=2e-5)


def test_persons_of_nexus_are_recordings(tmp_path):
    both = np.concatenate([MARKERS, MARKERS + [1000, 0, 0]], 1)
    content = nexus(both, LABELS[:-2] * 2).decode()
    at = content.index('Anna:LFHD', content.index('Anna:LFHD') + 1)
    end = content.index('\r', at)
    content = content[:at] + content[at:end].replace('Anna', 'Ben') + content[end:]
    (anna, ben), _ = read(tmp_path / 'a.csv', content.encode())
    assert [anna['frame_dir'], ben['frame_dir']] == ['a/0', 'a/1']
    np.testing.assert_allclose(ben['joints'] - anna['joints'],
                               np.broadcast_to([1, 0, 0], anna['joints'].shape)
                               + 0 * anna['joints'], atol=1e-4)


def test_bones_of_motive_are_read_without_their_rotations(tmp_path):
    (ann, ), notes = read(tmp_path / 'a.csv', motive())
    np.testing.assert_allclose(ann['joints'][:, 5:], walk(5, 'coco17')[:, 5:], atol=1e-6)
    assert ann['fps'] == 120
    assert notes == 'the names of the joints are those of --map motive'


def test_landmarks_of_visual3d_are_read_by_their_names(tmp_path):
    (ann, ), notes = read(tmp_path / 'a.txt', visual3d(), fps=200)
    np.testing.assert_allclose(ann['joints'][:, 5:], walk(5, 'coco17')[:, 5:], atol=1e-6)
    assert ann['fps'] == 200
    assert '--map joint_centers' in notes
    assert 'a unit of 1 m is taken' in notes


@pytest.mark.parametrize(('content', 'message'), [
    (nexus().replace(b'Trajectories', b'Model Outputs'),
     "tables: found 'Model Outputs' and no Trajectories, expected a table called Trajectories"),
    (nexus().replace(b'LKNE', b'K1'), 'markers: found Anna:LFHD .*Anna:K1.*--map'),
    (nexus().replace(b'101,0,', b'101,0,x'), 'rows: found ValueError.*expected rows of numbers'),
    (nexus().replace(b',X,Y,Z', b',A,B,C'), 'head: found no markers, expected names of 1 to'),
    (qualisys().split(b'LBHD')[0], 'head: found no markers'),
    (nexus(np.concatenate([MARKERS, MARKERS], 1), LABELS[:-2] * 2),
     "markers: found 'Anna:LFHD' twice, expected each marker once")])
def test_faults_are_named(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path / 'a.csv', content)


def test_texts_beside_the_tables_are_passed_over(tmp_path):
    write(tmp_path, {'a.csv': nexus(), 'README.txt': b'recorded on Monday'})
    source = MarkerTable(tmp_path, strict=True)
    assert source.files == ['a.csv']
    assert 'files of other kinds are passed over: 1 .txt' in source.notes
