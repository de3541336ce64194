"""Files that are complete or absent, on a disk that is full, too."""

import errno
import resource
import shutil
import signal

import numpy as np
import pytest
import torch

from mofm.annotations import dump_annotations
from mofm.utils.config import load_config
from mofm.utils.files import atomic_path, atomic_write, check_space, remove_unfinished
from mofm.visualization import write_video
from tests.limited import run_limited


def full(write, path):
    """Call a writer where files end at 20 kB, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    write(path)


def arrays(path):
    with atomic_write(path) as file:
        np.savez(file, a=np.zeros(10_000))


def tensors(path):
    with atomic_write(path) as file:
        torch.save(torch.zeros(10_000), file)


def suffixed(path):
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(100_000))


def annotations(path):
    dump_annotations(dict(split={}, metainfo={}, annotations=[dict(
        frame_dir='a', label=0, img_shape=(4, 5), total_frames=400,
        keypoint=np.random.rand(1, 400, 17, 2), keypoint_score=np.ones((1, 400, 17)))]), path)


@pytest.mark.parametrize(('write', 'name'), [
    (arrays, 'a.npz'), (tensors, 'a.pth'), (suffixed, 'a.png'), (annotations, 'a.pkl'),
    (annotations, 'a.arrow'), (annotations, 'a.json')])
def test_full_disk_is_named_and_keeps_the_file_that_was_there(tmp_path, write, name):
    path = tmp_path / name
    path.write_bytes(b'before')
    error = run_limited(full, write, path).error
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (errno.EFBIG, str(path))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b'before'


def test_video_on_a_full_disk_is_an_error_although_ffmpeg_tells_nothing(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (20, 120, 160, 3), dtype=np.uint8)
    error = run_limited(full, lambda path: write_video(noise, path), tmp_path / 'a.mp4',
                        memory=2**32).error
    assert 'ffmpeg could not write it; is the disk full?' in str(error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_error_of_the_system_names_the_file(tmp_path, monkeypatch, number):
    def fail(fd):
        raise OSError(number, 'no')

    monkeypatch.setattr('mofm.utils.files.os.fsync', fail)
    with pytest.raises(OSError, match='no') as error, atomic_write(tmp_path / 'a') as file:
        file.write(b'1')
    assert error.value.filename == str(tmp_path / 'a')
    assert not list(tmp_path.iterdir())


def test_removed_folder_is_named(tmp_path):
    (tmp_path / 'out').mkdir()
    with pytest.raises(FileNotFoundError) as error, atomic_write(tmp_path / 'out/a'):
        shutil.rmtree(tmp_path / 'out')
    assert error.value.filename == str(tmp_path / 'out/a')


def test_space_is_checked_before_the_work(tmp_path):
    check_space(tmp_path / 'new', 1000)
    with pytest.raises(OSError, match='MB free, expected 1,000,000,000,000 MB') as error:
        check_space(tmp_path, 10**18)
    assert error.value.errno == errno.ENOSPC
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError):
        check_space(tmp_path / 'file/folder', 0)


def test_unfinished_files_of_one_path_are_removed(tmp_path):
    for name in ('a[1].0123abcd.tmp', 'a1.0123abcd.tmp', 'a[1]'):
        (tmp_path / name).touch()
    (tmp_path / 'a[1].ffffffff.tmp').mkdir()
    remove_unfinished(tmp_path / 'a[1]')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a1.0123abcd.tmp', 'a[1]']


def test_full_temporary_folder_is_named_by_a_config(tmp_path, monkeypatch):
    (tmp_path / 'config.py').write_text(f'text = {"x" * 30_000!r}\n')
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    error = run_limited(full, load_config, tmp_path / 'config.py').error
    assert (error.errno, error.filename) == (errno.EFBIG, str(tmp_path))


def test_remains_of_a_killed_process_are_removed_through_a_link(tmp_path):
    (tmp_path / 'out.pkl.01234567.tmp').touch()
    (tmp_path / 'link.pkl').symlink_to('out.pkl')
    remove_unfinished(tmp_path / 'link.pkl')
    assert [path.name for path in tmp_path.iterdir()] == ['link.pkl']
