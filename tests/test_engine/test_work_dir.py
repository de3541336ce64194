"""A work dir belongs to one run."""

import json
import os
import signal
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch

from mofm.engine.hooks import RunIdHook
from mofm.engine.runner.work_dir import begin_run, on_main_process, own_work_dir
from mofm.hub.resumable import find_resumable


def save(path, run_id='old', iteration=1, **meta):
    """Write a checkpoint of a run; None for one of version 0.2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta |= dict(epoch=iteration, iter=iteration)
    torch.save(dict(meta=meta | (dict(run_id=run_id) if run_id else {}), state_dict={}), path)


def claim(work_dir, *args):
    with own_work_dir(work_dir, *args) as run:
        begin_run(work_dir, run)
        return dict(run, overwrites=[])


def log_of_training(work_dir, time='20260101_000000'):
    for name in (f'{time}.log', 'vis_data/scalars.json', 'vis_data/config.py'):
        path = work_dir / time / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"step": 1, "lr": 0.1}')
    return work_dir / time


@pytest.fixture
def used(tmp_path):
    """A work dir of a run of two epochs, with files of others."""
    run = claim(tmp_path)
    for epoch in (1, 2):
        save(tmp_path / f'epoch_{epoch}.pth', run['id'], epoch)
    save(tmp_path / 'best_acc_top1_epoch_2.pth', run['id'], 2)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    log_of_training(tmp_path)
    (tmp_path / '20260101_000001').mkdir()  # of a test
    for name in ('notes.txt', 'weights.pth', 'scores.csv', '20260101_000001/report.html'):
        (tmp_path / name).write_text('mine')
    return tmp_path


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


def test_second_run_in_a_used_work_dir_is_refused_with_what_to_do(used):
    before = names(used)
    with pytest.raises(ValueError, match=r'belongs to another training \(best_acc_top1_epoch_2.pth'
                       r', epoch_1.pth, epoch_2.pth\); add --resume .*--overwrite .*--work-dir'):
        claim(used)
    with pytest.raises(ValueError, match='--resume and --overwrite, expected one of them'):
        claim(used, 'auto', True)
    assert names(used) == before


def test_overwrite_deletes_files_of_the_run_and_no_others(used):
    old = json.loads((used / 'run.json').read_text())['id']
    new = claim(used, None, True)
    assert new['id'] != old
    assert names(used) == {'run.json', 'run.lock', 'notes.txt', 'weights.pth', 'scores.csv',
                           '20260101_000001/report.html'}
    assert not (used / '20260101_000000').exists()


def test_overwrite_by_a_command_that_fails_at_its_start_deletes_nothing(used):
    before, old = names(used), json.loads((used / 'run.json').read_text())
    with suppress(KeyError), own_work_dir(used, None, True) as run:
        assert run['overwrites']
        raise KeyError('no data')
    assert names(used) == before
    assert claim(used, 'auto') == old


def test_overwrite_that_is_killed_at_its_start_is_not_resumed_as_the_run_before(used):
    child = os.fork()
    if not child:
        with own_work_dir(used, None, True):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert {'epoch_1.pth', 'epoch_2.pth'} <= names(used)
    run = claim(used, 'auto')
    assert find_resumable(used, run['id']) is None
    assert not {'epoch_1.pth', 'epoch_2.pth'} & names(used)


def test_overwrite_of_a_foreign_run_file_deletes_no_other_files(tmp_path):
    """A work dir from elsewhere that names files to delete."""
    work_dir = tmp_path / 'work'
    save(work_dir / 'epoch_1.pth', 'id')
    for name in ('mine.txt', 'work/mine.txt', 'epoch_2.pth'):
        (tmp_path / name).write_text('mine')
    (work_dir / 'run.json').write_text(json.dumps(dict(id='id', overwrites=[
        '../mine.txt', 'mine.txt', str(tmp_path / 'mine.txt'), '../epoch_2.pth', {}, 7])))
    claim(work_dir, 'auto')
    assert names(tmp_path) == {'mine.txt', 'epoch_2.pth', 'work/mine.txt', 'work/epoch_1.pth',
                               'work/run.json', 'work/run.lock'}


def test_overwrite_keeps_files_of_others_in_the_folder_of_a_log(used):
    (used / '20260101_000000/notes.txt').write_text('mine')
    claim(used, None, True)
    assert names(used / '20260101_000000') == {'notes.txt'}


def test_overwrite_refuses_checkpoints_of_a_third_run(used):
    save(used / 'epoch_9.pth', 'another', 9)
    before = names(used)
    with pytest.raises(ValueError, match=r'checkpoints of several trainings \(epoch_9.pth\)'):
        claim(used, None, True)
    assert names(used) == before


def test_overwrite_of_a_run_of_version_02_deletes_it(tmp_path):
    save(tmp_path / 'epoch_1.pth', None)
    with pytest.raises(ValueError, match='belongs to another training'):
        claim(tmp_path)
    claim(tmp_path, None, True)
    assert not (tmp_path / 'epoch_1.pth').exists()


def test_overwrite_that_is_killed_is_finished_before_the_new_run_resumes(used, monkeypatch):
    """Otherwise weights of the old run pass for those of the new one."""
    child = os.fork()
    if not child:
        monkeypatch.setattr('mofm.engine.runner.work_dir._delete',
                            lambda *args: os.kill(os.getpid(), signal.SIGKILL))
        claim(used, None, True)
    os.waitpid(child, 0)
    assert {'epoch_1.pth', 'epoch_2.pth'} <= names(used)
    run = claim(used, 'auto')
    assert find_resumable(used, run['id']) is None
    assert not {'epoch_1.pth', 'epoch_2.pth'} & names(used)


def test_work_dir_without_checkpoints_is_free(tmp_path):
    first = claim(tmp_path)  # crashed before its first checkpoint
    log = log_of_training(tmp_path)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    assert claim(tmp_path)['id'] != first['id']
    assert (log / f'{log.name}.log').exists()
    assert find_resumable(tmp_path, 'new') is None


def test_resume_keeps_the_run(used):
    run = json.loads((used / 'run.json').read_text())
    assert claim(used, 'auto') == run
    assert find_resumable(used, run['id']) == str(used / 'epoch_2.pth')
    (used / 'run.json').unlink()  # or made by copying the checkpoints only
    assert claim(used, 'auto')['id'] == run['id']
    (used / 'run.json').write_bytes(b'\xff\x00')
    assert claim(used, 'auto')['id'] == run['id']


def test_resume_of_version_02_continues_it_without_id(tmp_path):
    save(tmp_path / 'epoch_1.pth', None)
    for _ in range(2):
        run = claim(tmp_path, 'auto')
        assert run['id'] is None
    assert find_resumable(tmp_path, None) == str(tmp_path / 'epoch_1.pth')


def test_resume_in_an_empty_or_new_work_dir_starts_a_run(tmp_path):
    run = claim(tmp_path / 'new', 'auto')
    assert run['id']
    assert find_resumable(tmp_path / 'new', run['id']) is None
    assert claim(tmp_path / 'new', 'auto') == run


def test_resume_never_takes_weights_of_another_run(used):
    run = json.loads((used / 'run.json').read_text())
    save(used / 'epoch_9.pth', 'another', 9)
    assert find_resumable(used, run['id']) == str(used / 'epoch_2.pth')
    for name in ('epoch_1.pth', 'epoch_2.pth', 'last_checkpoint'):
        (used / name).unlink()
    with pytest.raises(ValueError, match=r'no intact checkpoint of the run \(epoch_9.pth'):
        find_resumable(used, run['id'])


def test_resume_from_an_earlier_checkpoint_needs_overwrite_of_the_later_ones(used):
    run = json.loads((used / 'run.json').read_text())
    with pytest.raises(ValueError, match=r'later checkpoints than epoch_1.pth \(best_acc_top1_epo'
                       r'ch_2.pth, epoch_2.pth\); add --overwrite'):
        claim(used, str(used / 'epoch_1.pth'))
    assert claim(used, str(used / 'epoch_1.pth'), True) == run
    assert find_resumable(used, run['id']) == str(used / 'epoch_1.pth')
    assert claim(used, str(used / 'epoch_1.pth')) == run


def test_resume_from_another_folder_starts_a_run_that_remembers_it(used, tmp_path_factory):
    """If it is killed before its first checkpoint, --resume starts from there again."""
    work_dir = tmp_path_factory.mktemp('new')
    run = claim(work_dir, str(used / 'epoch_1.pth'))
    assert run['resumed_from'] == str(used / 'epoch_1.pth')
    assert claim(work_dir, 'auto') == run
    save(work_dir / 'epoch_2.pth', run['id'])
    with pytest.raises(ValueError, match='belongs to another training'):
        claim(work_dir, str(used / 'epoch_1.pth'))


def test_unfinished_files_of_killed_processes_are_removed(tmp_path):
    for name in ('run.json.01234567.tmp', 'epoch_3.pth.01234567.tmp', 'mine.tmp'):
        (tmp_path / name).write_text('half')
    claim(tmp_path)
    assert names(tmp_path) == {'run.json', 'run.lock', 'mine.tmp'}


def test_two_runs_at_the_same_time_are_refused_by_the_process(tmp_path):
    with own_work_dir(tmp_path), pytest.raises(
            ValueError, match=f'another training writes here .*process {os.getpid()} on'):
        claim(tmp_path, 'auto')
    claim(tmp_path, 'auto')


def test_error_of_the_main_process_reaches_all(monkeypatch):
    """One of several processes must not wait for a main process that refused."""
    def refuse():
        raise ValueError('refused')

    def broadcast(results):
        results[:] = [None, 'refused']

    module = 'mofm.engine.runner.work_dir'
    with pytest.raises(ValueError, match='refused'):
        on_main_process(refuse)
    monkeypatch.setattr(f'{module}.is_main_process', lambda: False)
    monkeypatch.setattr(f'{module}.broadcast_object_list', broadcast)
    with pytest.raises(ValueError, match='refused'):
        on_main_process(pytest.fail)


def test_best_checkpoint_of_a_copied_work_dir_is_its_own(used, tmp_path_factory):
    """MMEngine deletes the best checkpoint before a better one, by its absolute path."""
    copy = tmp_path_factory.mktemp('copy')
    checkpoint = dict(message_hub=dict(runtime_info=dict(
        best_ckpt=str(used / 'best_acc_top1_epoch_2.pth'), best_ckpt_acc=None, iter=3)))
    RunIdHook(dict(id='id')).after_load_checkpoint(
        SimpleNamespace(_resume=True, work_dir=str(copy)), checkpoint)
    assert checkpoint['message_hub']['runtime_info'] == dict(
        best_ckpt=str(copy / 'best_acc_top1_epoch_2.pth'), best_ckpt_acc=None, iter=3)
