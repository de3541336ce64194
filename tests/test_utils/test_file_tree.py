"""FileTree: folders, zip and tar archives and single files by the same names."""
import gzip
import io
import os
import pickle
import tarfile
import zipfile

import pytest

from mofm.utils.file_tree import FileTree
from mofm.utils.limits import LimitError

FILES = {'a.txt': b'first', 'sub/b.TXT': b'second', 'sub/c.json.gz': gzip.compress(b'{}'),
         '.hidden/d.txt': b'no', 'sub/.e.txt': b'no', '__MACOSX/a.txt': b'no'}
NAMES = ['a.txt', 'sub/b.TXT', 'sub/c.json']


def folder(path):
    for name, content in FILES.items():
        (path / 'x' / name).parent.mkdir(parents=True, exist_ok=True)
        (path / 'x' / name).write_bytes(content)
    return path / 'x'


def packed(path, slash='/'):
    with zipfile.ZipFile(path / 'x.zip', 'w') as archive:
        for name, content in FILES.items():
            info = zipfile.ZipInfo('x')
            info.filename = name.replace('/', slash)
            archive.writestr(info, content)
    return path / 'x.zip'


def tarred(path, suffix='.tar.gz'):
    with tarfile.open(path / f'x{suffix}', 'w:' + suffix[5:].replace('.', '')) as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo('./' + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path / f'x{suffix}'


@pytest.mark.parametrize('make', [
    folder, packed, lambda path: packed(path, '\\'), tarred, lambda path: tarred(path, '.tar'),
    lambda path: tarred(path, '.tar.xz')])
def test_file_tree_lists_and_reads_the_same_files(tmp_path, make):
    tree = pickle.loads(pickle.dumps(FileTree(make(tmp_path))))
    assert tree.names == NAMES
    assert [tree.read(name, 100) for name in NAMES] == [b'first', b'second', b'{}']
    assert tree.head('a.txt', 2) == b'fi'
    assert 'sub/c.json' in tree
    assert 'sub/none' not in tree
    assert tree.where('sub/c.json').endswith(':sub/c.json.gz')
    tree.close()
    assert tree.read('a.txt', 5) == b'first'
    with pytest.raises(LimitError, match='more than 4 bytes'):
        tree.read('a.txt', 4)


def test_file_tree_of_one_file_has_the_empty_name(tmp_path):
    (tmp_path / 'a.skeleton.gz').write_bytes(gzip.compress(b'text'))
    tree = FileTree(tmp_path / 'a.skeleton.gz')
    assert tree.names == ['']
    assert (tree.filename(''), tree.read('', 10)) == ('a.skeleton', b'text')


def test_file_tree_follows_links_without_loops(tmp_path):
    (tmp_path / 'x').mkdir()
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'a.txt').write_bytes(b'1')
    os.symlink(tmp_path / 'other', tmp_path / 'x' / 'link')
    os.symlink(tmp_path, tmp_path / 'other' / 'loop')
    os.symlink('.', tmp_path / 'x' / 'self')
    assert FileTree(tmp_path / 'x').names == ['link/a.txt']


def test_file_tree_refuses_what_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setenv('MOFM_LIMITS', 'small=1000 expansion=2')
    (tmp_path / 'a.json.gz').write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(LimitError, match='expansion'):
        FileTree(tmp_path / 'a.json.gz').read('', 10**7)
    with tarfile.open(tmp_path / 'a.tar.gz', 'w:gz') as archive:
        info = tarfile.TarInfo('a')
        info.size = 10**6
        archive.addfile(info, io.BytesIO(bytes(10**6)))
    with pytest.raises(LimitError, match='expansion'):
        FileTree(tmp_path / 'a.tar.gz')
