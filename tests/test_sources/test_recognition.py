import json
import pickle
import shutil
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from mofm.registry import SOURCES
from mofm.sources import Source
from mofm.sources.recognition import Sample, recognize
from mofm.utils.file_tree import FileTree
from tests.test_sources.native_files import SAMPLES, mocap, ntu, pose_detectors, write

# Readers of the same files, among which the user chooses.
_SAME = ({'ntu60_2d', 'ntu60_3d', 'ntu120_2d', 'ntu120_3d'}, {'utkinect', 'utkinect_untrimmed'},
         {'pheva', 'poselift'})
# Readers of a file alone where others than those of the folder fit.
_ALONE = dict(humanml3d=['joints_npz'], tsu=['charades', 'tsu'])


def sources(path):
    return [match.source for match in recognize(path)]


def archive(path, files):
    with zipfile.ZipFile(path, 'w') as out:
        for name, content in files.items():
            out.writestr(name, content)
    return path


@pytest.mark.parametrize('name', sorted(SAMPLES))
def test_sample_of_every_reader_is_recognized_as_it_alone(name, tmp_path):
    reader, files, _ = SAMPLES[name]
    expected = {source for source, one in SOURCES.module_dict.items() if issubclass(reader, one)}
    found = sources(write(tmp_path / 'native', files))
    assert expected & {*found}, f'{name}: {found}'
    assert len(found) == 1 or any({*found} <= same for same in _SAME), f'{name}: {found}'
    assert sources(archive(tmp_path / 'native.zip', files)) == found
    # files that say something about those of poses are of no kind
    alone = [kind for kind in (sources(tmp_path / 'native' / file) for file in files) if kind]
    assert alone
    assert all(kind in (found, _ALONE.get(name)) for kind in alone), f'{name}: {alone}'


def test_archives_and_compressed_files_are_recognized_by_content(tmp_path):
    files = SAMPLES['openpose'][1]
    folder = write(tmp_path / 'walk', files)
    archive = shutil.make_archive(str(tmp_path / 'a'), 'zip', folder)
    with tarfile.open(tmp_path / 'b.tar.gz', 'w:gz') as tar:
        tar.add(folder, 'walk')
    assert sources(archive) == sources(tmp_path / 'b.tar.gz') == ['openpose']
    match, = recognize(archive)
    assert str(match) == "openpose (OpenPose): persons of a frame as 'people'"


def test_actions_above_60_leave_ntu120(tmp_path):
    files = {'S018C001P001R001A061.skeleton': ntu.solo(), 'S001C001P001R001A001.skeleton':
             ntu.solo()}
    folder = write(tmp_path, files)
    assert sources(folder) == ['ntu120_2d', 'ntu120_3d']


def test_two_kinds_in_a_folder_are_two_matches_with_their_files(tmp_path):
    files = {'a.bvh': mocap.bvh(), **SAMPLES['openpose'][1]}
    found = {match.source: match.file for match in recognize(write(tmp_path, files))}
    assert found['bvh'] == 'a.bvh'
    assert found['openpose'].endswith('_keypoints.json')
    assert len(found) == 2


def test_large_json_is_recognized_by_its_beginning(tmp_path):
    persons = pose_detectors.alphapose(pose_detectors.people(4000, 2))
    file = tmp_path / 'large.json'
    file.write_text(json.dumps(persons))
    assert file.stat().st_size > 2**22
    parsed = Sample(FileTree(file), '').json
    assert parsed[0] == persons[0]
    assert len(parsed) > 100
    assert sources(file) == ['alphapose']


def test_few_files_of_a_large_folder_are_looked_at(tmp_path):
    for i in range(500):
        (tmp_path / f'{i % 20}').mkdir(exist_ok=True)
        (tmp_path / f'{i % 20}' / f'{i}.json').write_text('{}')
    looked = []

    class Looker(Source):
        suffix = '.json'

        @classmethod
        def recognize(cls, sample):
            looked.append(sample.name)

    SOURCES.register_module('looker', module=Looker)
    try:
        assert recognize(tmp_path) == []
    finally:
        SOURCES.module_dict.pop('looker')
    assert len(looked) == 16


def test_reader_that_raises_is_passed_over(tmp_path):
    class Broken(Source):
        suffix = '.bvh'

        @classmethod
        def recognize(cls, sample):
            raise ZeroDivisionError

    SOURCES.register_module('broken', module=Broken)
    try:
        assert sources(write(tmp_path, {'a.bvh': mocap.bvh()})) == ['bvh']
    finally:
        SOURCES.module_dict.pop('broken')


_HOSTILE = {
    'deep.json': b'[' * 10**6, 'digits.json': b'1' * 10**6, 'cut.json': b'[{"image_id": "a", "key',
    'lists.json': b'[' + b'[],' * 10**6, 'null.json': b'null', 'text.json': b'\xff\xfe[\x00',
    'a.pkl': b'\x80\4\x8e\0\0\0\0\0\1\0\0', 'run.pkl': pickle.dumps(print), 'a.npz': b'PK\3\4',
    'a.npy': b'\x93NUMPY\2\0\xff\xff\xff\xff', 'a.mat': b'MATLAB 5.0' + bytes(200),
    'a.bvh': b'', 'S001C001P001R001A001.skeleton': b'\0', 'joints_s01_e01.txt': b'\n' * 99,
    'a.npz.zip': b'PK\5\6', 'a.skeleton.gz': b'\x1f\x8b\x08\0', '_keypoints.json': b'[1]'}


@pytest.mark.parametrize('name', sorted(_HOSTILE))
def test_hostile_file_is_of_no_kind_and_takes_no_memory(name, tmp_path):
    write(tmp_path, {f'a/{name}': _HOSTILE[name]})
    tracemalloc.start()
    assert recognize(tmp_path) == []
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()


def test_bomb_in_an_archive_is_no_match(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('joints.npz', bytes(2**24))
        archive.writestr('a.json', b'[' * 2**24)
    tracemalloc.start()
    assert recognize(tmp_path / 'a.zip') == []
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()


def test_sample_offers_shapes_of_arrays_without_reading_them(tmp_path):
    np.savez(tmp_path / 'a.npz', joints=np.zeros((9, 24, 3)), fps=np.float32(30))
    arrays = Sample(FileTree(tmp_path / 'a.npz'), '').arrays
    assert arrays == dict(joints=((9, 24, 3), np.dtype('f8')), fps=((), np.dtype('f4')))
    np.save(tmp_path / 'b.npy', np.zeros((2, 3), np.int16))
    assert Sample(FileTree(tmp_path), 'b.npy').arrays == {'': ((2, 3), np.dtype('i2'))}
