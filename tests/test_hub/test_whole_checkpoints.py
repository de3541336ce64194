"""Checkpoints are written as a whole, and the newest whole one is found."""

import os
import shutil
import signal
import subprocess
import sys

import mmengine
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.runner.checkpoint import save_checkpoint

from mofm.engine import AtomicLocalBackend
from mofm.hub import resumable
from mofm.hub.resumable import find_resumable
from mofm.hub.torch_file import is_intact, read_torch_file


def save(path, value=0, iteration=0, epoch=0):
    save_checkpoint(dict(meta=dict(iter=iteration, epoch=epoch),
                         state_dict=dict(weight=torch.full((1000, ), float(value)))), str(path))
    return str(path)


def at(path, seconds):
    """Set when a file was written."""
    os.utime(path, (seconds, seconds))


def test_mmengine_writes_with_atomic_backend(tmp_path):
    for options in (dict(), dict(backend_args=dict(backend='local')),
                    dict(enable_singleton=True)):
        assert type(get_file_backend(tmp_path, **options)) is AtomicLocalBackend
    mmengine.dump(dict(a=1), tmp_path / 'new/folder/a.json')
    assert mmengine.load(tmp_path / 'new/folder/a.json') == dict(a=1)
    assert [path.name for path in (tmp_path / 'new/folder').iterdir()] == ['a.json']


@pytest.mark.slow
def test_atomic_backend_replaces_used_backend():
    """One that was used before is not used again."""
    code = ('import mmengine.fileio as f; f.exists("/"); f.get(__import__("os").__file__); '
            'import mofm.engine; print(type(f.get_file_backend("/", enable_singleton=True)))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'AtomicLocalBackend' in done.stdout


def test_atomic_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', path)

    def full(descriptor):
        raise OSError('disk is full')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='disk is full'):
        backend.put(b'new and longer', path)
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_atomic_write_that_is_killed_keeps_the_old_file(tmp_path):
    """SIGKILL between the bytes and the new name; looking for checkpoints removes the rest."""
    path = tmp_path / 'preempted.pth'
    save(path, 1)
    before = path.read_bytes()
    child = os.fork()
    if not child:
        os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
        save(path, 2)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert path.read_bytes() == before
    left, = set(tmp_path.iterdir()) - {path}
    assert left.match('preempted.pth.*.tmp')
    assert find_resumable(tmp_path) == str(path)
    assert list(tmp_path.iterdir()) == [path]
    save(path, 2)
    assert torch.load(path, weights_only=True)['state_dict']['weight'][0] == 2


def test_atomic_write_of_two_ranks_leaves_one_file(tmp_path, monkeypatch):
    """One finishes while another one writes, as at the end of a test on several processes."""
    path, fsync = tmp_path / 'metrics.json', os.fsync
    backend = AtomicLocalBackend()

    def other_rank(descriptor):
        monkeypatch.setattr(os, 'fsync', fsync)
        backend.put(b'rank 1', path)
        assert path.read_bytes() == b'rank 1'

    monkeypatch.setattr(os, 'fsync', other_rank)
    backend.put(b'rank 0', path)
    assert path.read_bytes() == b'rank 0'
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_follows_links_and_pipes(tmp_path):
    """A link still points to its file; what is no file is written to, not replaced.

    As of any file, the permissions are those of the umask.
    """
    target, link = tmp_path / 'data/a.txt', tmp_path / 'link.txt'
    mmengine.fileio.put_text('old', target)
    link.symlink_to(target)
    mmengine.fileio.put_text('näw', link)
    assert link.is_symlink()
    (tmp_path / 'plain').touch()
    assert target.stat().st_mode == (tmp_path / 'plain').stat().st_mode
    assert target.read_text(encoding='utf-8') == 'näw'
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    mmengine.fileio.put_text('through', pipe)
    assert os.read(reader, 100) == b'through'
    assert not pipe.is_file()


def test_find_resumable_takes_the_last_iteration(tmp_path):
    """By what is inside, not by time or name; never the best, published or foreign ones."""
    assert find_resumable(tmp_path) is None
    assert find_resumable(tmp_path / 'none') is None
    for seconds, (name, iteration) in enumerate((
            ('preempted', 29), ('epoch_10', 20), ('iter_25', 25), ('epoch_9', 18),
            ('best_acc_top1_epoch_2', 40), ('epoch_2-0a1b2c3d', 50), ('weights', 60))):
        at(save(tmp_path / f'{name}.pth', iteration=iteration), 5000 - seconds)
    for name in ('preempted', 'iter_25', 'epoch_10', 'epoch_9'):
        assert find_resumable(tmp_path) == str(tmp_path / f'{name}.pth')
        (tmp_path / f'{name}.pth').unlink()
    assert find_resumable(tmp_path) is None


def test_find_resumable_prefers_the_end_of_an_epoch_to_its_last_iteration(tmp_path):
    """Preempted at the last iteration, resumed, and killed: the epoch is done."""
    for name, epoch, seconds in (('preempted', 1, 2000), ('epoch_2', 2, 1000)):
        at(save(tmp_path / f'{name}.pth', iteration=8, epoch=epoch), seconds)
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_2.pth')


def test_find_resumable_takes_the_last_epoch_of_larger_batches(tmp_path):
    """Resumed with a larger batch, later epochs have fewer iterations behind them."""
    for name, epoch, iteration in (('preempted', 1, 9), ('epoch_2', 2, 6)):
        save(tmp_path / f'{name}.pth', iteration=iteration, epoch=epoch)
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_2.pth')


def test_find_resumable_of_a_copied_work_dir_stays_within_it(tmp_path):
    """last_checkpoint has an absolute path, which may exist."""
    original, copied = tmp_path / 'original', tmp_path / 'copied'
    save(original / 'epoch_2.pth', iteration=2)
    save(original / 'step_7.pth', iteration=7)
    save(copied / 'epoch_1.pth', iteration=1)
    for name in ('step_7.pth', 'epoch_2.pth'):
        for pointer in (str(original / name), f'/gone/{name}\n', f'C:\\runs\\{name}', name,
                        f'../original/{name}'):
            (copied / 'last_checkpoint').write_text(pointer)
            assert find_resumable(copied) == str(copied / 'epoch_1.pth')
    shutil.copy(original / 'step_7.pth', copied)  # another name, which only last_checkpoint tells
    (copied / 'last_checkpoint').write_text(str(original / 'step_7.pth'))
    assert find_resumable(copied) == str(copied / 'step_7.pth')


@pytest.mark.parametrize('content', [
    b'', b'\n', b'\xff\xfe\x00\x80', bytes(100), b'x' * 5000, b'..', b'.', b'/', b'a\0b',
    b'line\nanother', 'ünï.pth'.encode('utf-16'), b'epoch_9.pth', b'notes.txt', b'logs', None])
def test_find_resumable_ignores_garbage_in_last_checkpoint(tmp_path, content):
    """None: a folder. The whole checkpoints beside it are found."""
    save(tmp_path / 'epoch_1.pth')
    (tmp_path / 'notes.txt').write_text('mine')
    (tmp_path / 'logs').mkdir()
    pointer = tmp_path / 'last_checkpoint'
    pointer.mkdir() if content is None else pointer.write_bytes(content)
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_1.pth')


@pytest.mark.parametrize('meta', [None, 'text', 7, dict(), dict(iter='8'), dict(iter=[])])
def test_find_resumable_puts_checkpoints_without_iteration_last(tmp_path, meta):
    torch.save(dict(meta=meta, state_dict={}), tmp_path / 'epoch_9.pth')
    save(tmp_path / 'epoch_1.pth', iteration=1)
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_1.pth')


def test_metadata_is_read_without_the_weights(tmp_path):
    """So that many large checkpoints cost little; damaged weights show that they are not read."""
    path = tmp_path / 'epoch_1.pth'
    save(path, 1, iteration=8)
    data = path.read_bytes()
    path.write_bytes(data[:2000] + bytes(8) + data[2008:])
    assert resumable.read_meta(path)['iter'] == 8
    assert not is_intact(path)
    with pytest.raises(ValueError, match='not a readable checkpoint'):
        read_torch_file(path)


@pytest.mark.parametrize('damage', [
    lambda data: data[:-1], lambda data: data[:len(data) // 2], lambda data: b'',
    lambda data: data[:2000] + bytes(8) + data[2008:],  # a hole in the weights
    lambda data: data[:-500] + bytes(500), lambda data: bytes(len(data))])
def test_find_resumable_names_damaged_checkpoints(tmp_path, damage, monkeypatch):
    warnings = []
    monkeypatch.setattr(resumable, 'print_log', lambda text, *_: warnings.append(text))
    paths = [tmp_path / f'epoch_{epoch}.pth' for epoch in (1, 2, 3)]
    for epoch, path in enumerate(paths, start=1):
        save(path, 1, iteration=8 * epoch)
    whole = paths[2].read_bytes()
    assert damage(whole) != whole
    paths[2].write_bytes(damage(whole))
    (tmp_path / 'last_checkpoint').write_text(str(paths[2]))
    assert find_resumable(tmp_path) == str(paths[1])
    assert [text.split(',')[0] for text in warnings] == [f'{paths[2]}: missing or damaged']
    for path in paths:
        path.write_bytes(damage(whole))
    with pytest.raises(ValueError, match=r'no intact checkpoint of the run \(epoch_3.pth, e'):
        find_resumable(tmp_path)


def test_find_resumable_refuses_deleted_checkpoints(tmp_path):
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    with pytest.raises(ValueError, match='start a new training with --overwrite or another'):
        find_resumable(tmp_path)
