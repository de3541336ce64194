"""Sources that prepare.py recognizes."""
import json
import shutil
import zipfile

import pytest

from mofm.annotations import load_annotations
from tests.test_sources.native_files import SAMPLES, mocap, ntu, write
from tests.test_tools.tool_runner import here


def prepare(*args):
    return here('data/prepare.py', *args, '--workers', 0, check=False, COLUMNS='200')


@pytest.mark.parametrize('auto', [('auto', ), ()])
def test_auto_names_what_it_found_and_runs_with_the_options_of_the_source(auto, tmp_path):
    folder = write(tmp_path / 'poses', SAMPLES['openpose'][1])
    archive = shutil.make_archive(str(tmp_path / 'a'), 'zip', folder)
    done = prepare(*auto, archive, tmp_path / 'a.pkl', '--tracks')
    assert done.returncode == 0, done.stderr
    assert "recognized openpose (OpenPose): persons of a frame as 'people'" in done.stdout
    named = prepare('openpose', archive, tmp_path / 'b.pkl', '--tracks')
    assert named.returncode == 0, named.stderr
    found, expected = (load_annotations(tmp_path / f'{name}.pkl')['annotations'] for name in 'ab')
    assert len(found) == len(expected) == 2
    assert all((a['keypoint'] == b['keypoint']).all()
               for a, b in zip(found, expected, strict=True))


def test_auto_names_the_missing_option_of_the_source_and_shows_its_help(tmp_path):
    file, = (write(tmp_path, SAMPLES['kinetics'][1]) / name for name in SAMPLES['kinetics'][1]
             if '/' not in name)
    done = prepare('auto', file, tmp_path / 'a.pkl')
    assert done.returncode == 2
    assert 'recognized kinetics (Kinetics): a pickle of annotations with' in done.stdout
    assert done.stderr.splitlines()[-1].endswith('are required: --skeletons')
    shown = prepare('auto', file, '--help').stdout
    assert 'recognized kinetics' in shown
    assert '--valid-ratio' in shown


def test_auto_lists_sources_that_fit_where_the_user_has_to_choose(tmp_path):
    write(tmp_path, {'S001C001P001R001A001.skeleton': ntu.solo()})
    done = prepare('auto', tmp_path, tmp_path / 'a.pkl')
    assert done.returncode == 1
    for source in ('ntu60_2d', 'ntu60_3d', 'ntu120_2d', 'ntu120_3d'):
        assert f'\n  {source} (' in done.stderr
    assert 'Traceback' not in done.stderr


def test_auto_lists_files_of_several_kinds(tmp_path):
    write(tmp_path, {'a.bvh': mocap.bvh(), **SAMPLES['alphapose'][1]})
    done = prepare(tmp_path, tmp_path / 'a.pkl')
    assert 'found files of several kinds' in done.stderr
    assert 'bvh (BVH): text that begins with HIERARCHY, e.g. a.bvh' in done.stderr
    assert "alphapose (AlphaPose): a list of persons with 'image_id' and" in done.stderr


@pytest.mark.parametrize(('name', 'content', 'words'), [
    ('a.json', json.dumps(dict(foo=1, bar=2)), "a JSON object with ['foo', 'bar'], expected"),
    ('a.xyz', 'x;y\n1;2\n', "text 'x;y', expected files that a reader recognizes; prepare.py "
     '--help and docs/sources.md list the readers\n'),
    ('a.png', '\x89PNG', 'extract_poses.py estimates the poses of videos and images\n'),
    ('walk.MP4', '\0\0', 'extract_poses.py estimates the poses of videos and images\n'),
    ('a.json', '{"split": {}, "annotations": []}', 'these are annotations of MoFM, which all '
     'tools take as they are'),
    ('a.arrow', 'ARROW1', 'these are annotations of MoFM, which all tools take as they are'),
    ('a.tsv', 'a\tb\n1\t2\n', r"text 'a\tb', expected"),
    ('walk.mot', 'Coordinates\nversion=1\n', 'found angles or forces of OpenSim over time, '
     'without positions, expected files that a reader recognizes; the markers that they were '
     'computed from are in .trc files'),
    ('walk.dat', 'frame,nose_x,nose_y,left_hip_x,left_hip_y,left_knee_x,left_knee_y,left_ear_x,'
     'left_ear_y\n', 'it looks like a table with x and y of 4 joints in a row: table reads it as '
     '.csv\n'),
    ('ball.txt', 'mass_A\nt\tx\ty\n', 'found the path of a point, expected'),
    ('a.bvh', '', 'an empty file, expected files that a reader recognizes; readers of this '
     'suffix, which may be named as source: bvh'),
    ('b.json', None, 'no such file')])
def test_auto_says_what_a_foreign_file_is(name, content, words, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    done = prepare('auto', tmp_path / name, tmp_path / 'out.pkl')
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count('\n') == 1


def test_auto_takes_a_workbook_for_a_file_not_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / 'walk.xlsx', 'w') as out:
        out.writestr('xl/workbook.xml', '<workbook/>')
    done = prepare('auto', tmp_path / 'walk.xlsx', tmp_path / 'out.pkl')
    assert done.stderr == (f'error: {tmp_path}/walk.xlsx: format: found a spreadsheet, expected '
                           'files that a reader recognizes; save its sheet as CSV (Excel: File, '
                           'Save As, CSV UTF-8), a row a frame\n')


@pytest.mark.parametrize(('words', 'expected'), [
    (('opnpose', '.', 'a.pkl'), "opnpose: found neither a source nor a file or folder, expected "
     'openpose or anipose or alphapose; --help lists the sources'),
    (('no/such/folder', 'a.pkl'), 'no/such/folder: found neither a source nor a file or folder, '
     'expected auto; --help lists the sources')])
def test_source_or_path_with_a_typing_error_is_named(words, expected):
    done = prepare(*words)
    assert done.returncode == 1
    assert done.stderr == f'error: {expected}\n'


def test_empty_folder_has_no_file(tmp_path):
    done = prepare('auto', tmp_path, tmp_path / 'a.pkl')
    assert done.stderr == (f'error: {tmp_path}: format: found no file, expected files that a '
                           'reader recognizes\n')
