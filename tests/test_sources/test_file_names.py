"""Files of every reader under other names: upper case, compressed, in archives, linked, hidden."""
import gzip
import io
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from mofm.annotations import AnnotationError, load_annotations
from mofm.sources import BVH, NTU60, FolderSource, MMPoseJSON, OpenPose, ShanghaiTech
from mofm.sources.prepare import prepare
from tests.test_sources.native_files import SAMPLES, pyskl, stg_nf, write
from tests.test_sources.numbers_source import Numbers

UPPERCASE = Path('../shared/failing/data/09_uppercase_ext')
# Readers that take a second path, here in the same folder, and what they name there.
_TWO_PATHS = (pyskl.KineticsFolder, stg_nf.UBnormalFolder)
_SECOND = ('k400.pkl', '.png', '_tracks.txt')


def upper(name):
    path = PurePosixPath(name)
    return path.with_suffix(path.suffix.upper()).as_posix()


def as_folder(root, files, change=lambda name: name, pack=lambda content: content):
    for name, content in files.items():
        change, pack = (str, bytes) if name.endswith(_SECOND) else (change, pack)
        path = root / change(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(content))
    return root


def as_zip(root, files):
    """As some programs on Windows write them, with folders as members."""
    with zipfile.ZipFile(root / 'data.zip', 'w') as archive:
        for name, content in {'sub\\': b'', **files}.items():
            info = zipfile.ZipInfo('x')
            info.filename = name.replace('/', '\\')
            archive.writestr(info, content)
    return root / 'data.zip'


def as_tar(root, files, mode='w:gz', suffix='.tar.gz'):
    with tarfile.open(root / f'data{suffix}', mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f'./{name}')
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return root / f'data{suffix}'


FORMS = {
    'upper case': lambda root, files: as_folder(root / 'data', files, upper),
    'gz': lambda root, files: as_folder(root / 'data', files, lambda name: f'{name}.gz',
                                        gzip.compress),
    'GZ': lambda root, files: as_folder(root / 'data', files, lambda name: f'{name}.GZ',
                                        gzip.compress),
    'zip': as_zip, 'tar.gz': as_tar,
    'tar': lambda root, files: as_tar(root, files, 'w', '.TAR')}


def plain(source):
    out = []
    for ann, splits in source:
        out.append((sorted(splits), {key: (np.asarray(value).dtype, np.asarray(value).tolist())
                                     for key, value in ann.items()}))
    assert not source.problems, source.problems[0]
    return out


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', sorted(SAMPLES))
def test_every_reader_reads_its_files_under_other_names(name, form, tmp_path):
    reader, files, options = SAMPLES[name]
    if issubclass(reader, _TWO_PATHS) and form in ('zip', 'tar.gz', 'tar'):
        pytest.skip('two paths')
    for root in ('plain', 'other'):
        (tmp_path / root).mkdir()
    expected = reader(as_folder(tmp_path / 'plain/data', files), **options)
    source = reader(FORMS[form](tmp_path / 'other', files), **options)
    assert plain(source) == plain(expected)
    assert source.notes.keys() == expected.notes.keys()


def test_uppercase_files_of_openpose_are_one_video(tmp_path):
    if not UPPERCASE.exists():
        pytest.skip('no shared files')
    report = prepare(OpenPose(UPPERCASE), tmp_path / 'out.pkl', 0)
    ann, = load_annotations(tmp_path / 'out.pkl')['annotations']
    assert (report.clips, ann['total_frames'], len(ann['keypoint'])) == (1, 4, 2)


def names_of(path):
    return sorted(ann['frame_dir'] for ann, _ in Numbers(path))


def test_linked_folders_and_files_are_read_once_around(tmp_path):
    write(tmp_path, {'in/a.txt': b'1', 'elsewhere/sub/b.txt': b'2', 'c.txt': b'3'})
    (tmp_path / 'in/link').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'in/c.txt').symlink_to(tmp_path / 'c.txt')
    (tmp_path / 'elsewhere/sub/loop').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'in/gone.txt').symlink_to(tmp_path / 'nothing')
    source = Numbers(tmp_path / 'in')
    assert [ann['frame_dir'] for ann, _ in source] == ['a', 'c', 'b']
    assert len(source.problems) == 1
    assert 'gone.txt: file: found FileNotFoundError' in str(source.problems[0])
    assert names_of(tmp_path / 'in/link') == ['b']


def test_hidden_files_and_folders_are_not_read(tmp_path):
    files = {'a.txt': b'1', '.b.txt': b'2', '.ipynb_checkpoints/a-checkpoint.txt': b'3',
             '__MACOSX/._a.txt': b'4', 'sub/.git/c.txt': b'5'}
    write(tmp_path / 'in', files)
    assert names_of(tmp_path / 'in') == ['a']
    (tmp_path / 'zip').mkdir()
    assert names_of(as_zip(tmp_path / 'zip', files)) == ['a']
    assert names_of(as_tar(tmp_path / 'zip', files)) == ['a']


def test_file_and_its_compressed_copy_are_one_recording(tmp_path):
    write(tmp_path / 'in', {'a.txt': b'1', 'a.txt.gz': gzip.compress(b'1'),
                            'b.TXT.Gz': gzip.compress(b'2')})
    assert names_of(tmp_path / 'in') == ['a', 'b']
    (ann, _), = Numbers(tmp_path / 'in/b.TXT.Gz')
    assert ann['total_frames'] == 2


def test_files_that_are_passed_over_are_counted_and_named(tmp_path):
    write(tmp_path / 'in', {'a.txt': b'1', 'b.JSON': b'', 'c.json': b'', 'd': b'', 'e.rar': b'',
                            'sub/f.zip': b''})
    note, = Numbers(tmp_path / 'in').notes.items()
    assert note == ('files of other kinds are passed over: 2 .json, 1 .rar, 1 .zip, 1 no suffix',
                    ('b.JSON', 1))


@pytest.mark.parametrize('suffix', ['.rar', '.7z', '.RAR', '.tar.zst'])
def test_archive_of_a_foreign_kind_is_named(tmp_path, suffix):
    (tmp_path / f'data{suffix}').write_bytes(b'Rar!')
    with pytest.raises(AnnotationError, match=r'found an archive .*, expected .zip, .tar.*or a '
                                              'folder; unpack it'):
        Numbers(tmp_path / f'data{suffix}')


def test_companions_are_found_in_any_case_inside_and_beside(tmp_path):
    for name in ('utkinect', 'charades', 'tsu', 'pku_mmd'):
        reader, files, options = SAMPLES[name]
        expected = plain(reader(write(tmp_path / name / 'plain', files), **options))
        other = tmp_path / name / 'other'
        for file, content in files.items():
            own = any(fnmatch(PurePosixPath(file).name.lower(), pattern)
                      for pattern in reader.companions)
            path = other / PurePosixPath(file).name.upper() if own else other / 'in' / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if own:
                path.with_name(f'{path.name}.gz').write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
        source = reader(other / 'in', **options)
        assert plain(source) == expected
        assert not any('passed over' in note for note in source.notes)


def test_folder_of_the_frames_keeps_a_point_in_its_name(tmp_path):
    _, files, options = SAMPLES['openpose']
    write(tmp_path / 'v1.2', {PurePosixPath(name).name: files[name] for name in files})
    with tarfile.open(tmp_path / 'v1.2.tar.gz', 'w:gz') as archive:
        archive.add(tmp_path / 'v1.2', '.')
    for path in ('v1.2', 'v1.2.tar.gz'):
        assert FolderSource.stem(OpenPose(tmp_path / path, **options), '.') == 'v1.2'


@pytest.mark.parametrize(('reader', 'files', 'words'), [
    (MMPoseJSON, 'openpose', "'people'.*: source openpose"),
    (BVH, 'alphapose', 'source alphapose'), (NTU60, 'bvh', 'HIERARCHY: source bvh'),
    (ShanghaiTech, 'alphapose', 'source alphapose')])
def test_error_names_the_reader_that_fits(tmp_path, reader, files, words):
    write(tmp_path / 'in', SAMPLES[files][1])
    for path in (tmp_path / 'in', next(p for p in sorted((tmp_path / 'in').rglob('*'))
                                       if p.is_file())):
        with pytest.raises(AnnotationError, match=rf'(?s)it looks like .*{words}'):
            prepare(reader(path), tmp_path / 'out.pkl', 0)
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none/a.txt').write_text('x')
    with pytest.raises(AnnotationError) as caught:
        reader(tmp_path / 'none')
    assert 'looks like' not in str(caught.value)


def test_compressed_file_beside_one_of_its_name_is_passed_over_with_a_note(tmp_path):
    files = {'a.txt': b'1 2', 'b.txt': b'5', 'c.txt.gz': gzip.compress(b'6')}
    source = Numbers(write(tmp_path, {**files, 'a.txt.gz': gzip.compress(b'3 4')}))
    assert source.files == ['a.txt', 'b.txt', 'c.txt']
    assert [source.load(name) for name in source.files] == [b'1 2', b'5', b'6']
    assert source.notes == {'a .gz file is passed over for the file of its name beside it':
                            ('a.txt', 1)}
