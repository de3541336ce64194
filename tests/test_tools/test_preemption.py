"""Preemption of train.py and dist_train.sh by SIGTERM, and resumption."""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mofm.engine.hooks import PreemptionHook
from mofm.engine.hooks.preemption_hook import _start_worker
from mofm.engine.runner.train_loop import ResumableTrainLoop
from mofm.hub.checkpoint import load_local
from tests.test_tools.kill_training import differences
from tests.test_tools.tool_runner import ROOT, bash, environment

pytestmark = pytest.mark.slow
OPTIONS = ('--cfg-options', 'train_cfg.max_epochs=3', 'train_cfg.val_interval=2',
           'default_hooks.logger.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=-1')


@pytest.fixture(scope='module')
def random_config(config, tmp_path_factory):
    """The tiny config with augmentation, dropout and a loader in a process of its own."""
    path = tmp_path_factory.mktemp('preemption') / 'random.py'
    path.write_text(f"""
_base_ = {str(config)!r}
model = dict(cls_head=dict(dropout=0.4), backbone=dict(drop_path_rate=0.2))
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=_base_.train_pipeline))
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='PreemptionHook', interval=3)]
""")
    return path


@pytest.fixture
def train(random_config, monkeypatch):
    """train.py in this process, where everything is imported."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(Config, 'pretty_text', '')  # takes longer to format than to train

    def run(work_dir, *arguments):
        monkeypatch.setattr(sys, 'argv', ['train.py', *map(str, (
            random_config, '--work-dir', work_dir, *arguments, *OPTIONS))])
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')

    return run


def preempt(work_dir, command, after):
    """Start a training, send SIGTERM after a number of iterations; returns the ended process."""
    config, = (part for part in command if str(part).endswith('random.py'))
    waits = work_dir.with_suffix('.py')
    waits.write_text(f"""
_base_ = {str(config)!r}
custom_imports = dict(imports=['pause_hook'])
custom_hooks = [*_base_.custom_hooks, dict(type='PauseHook', after={after})]
""")
    command = [str(waits if part == config else part) for part in command]
    command += ['--work-dir', str(work_dir), *OPTIONS]
    out, err = (work_dir.with_suffix(suffix) for suffix in ('.out', '.err'))
    path = f'{ROOT}{os.pathsep}{Path(__file__).parent}'
    with open(out, 'w') as stdout, open(err, 'w') as stderr:
        process = subprocess.Popen(command, env=environment(PYTHONPATH=path), stdout=stdout,
                                   stderr=stderr, start_new_session=True)
    end = time.monotonic() + 200
    while after not in losses(work_dir):
        if process.poll() is not None or time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(out.read_text()[-2000:] + err.read_text()[-2000:])
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(100)
        with pytest.raises(ProcessLookupError):  # nobody of the session lives on
            os.killpg(process.pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out.read_text(),
                                       err.read_text())


def losses(work_dir):
    """Iteration to the losses that the log says, over all runs in a work dir."""
    found = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            try:
                line = json.loads(line)
            except ValueError:  # is being written
                continue
            if 'loss' in line:
                assert line['step'] not in found
                found[line['step']] = line['loss'], line['grad_norm'], line['lr']
    return found


def load(path):
    return load_local(path)


def check_same_end(work_dir, unbroken):
    assert not differences(losses(work_dir), losses(unbroken))
    one, other = (load(folder / 'epoch_3.pth') for folder in (work_dir, unbroken))
    assert one['meta']['iter'] == other['meta']['iter']
    assert not differences(one['state_dict'], other['state_dict'])


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_preempted_training_resumes(random_config, train, tmp_path):
    """A clean end in the middle of epoch 2."""
    unbroken, work_dir = tmp_path / 'unbroken', tmp_path / 'work'
    train(unbroken)
    done = preempt(work_dir, (sys.executable, ROOT / 'tools/train.py', random_config), after=10)
    assert done.returncode == 0
    assert 'Traceback' not in done.stdout + done.stderr
    meta = load(work_dir / 'preempted.pth')['meta']
    assert meta['epoch'] == 1
    assert 10 <= meta['iter'] <= 16
    assert (f'SIGTERM: stopped after iteration {meta["iter"]} of 24 and saved '
            f'{work_dir / "preempted.pth"}; the same command with --resume') in done.stdout
    assert sorted(p.name for p in work_dir.glob('*.pth*')) == ['epoch_1.pth', 'preempted.pth']
    train(work_dir, '--resume')
    assert f'resumed epoch: 1, iter: {meta["iter"]}' in max(work_dir.glob('*/*.log')).read_text()
    check_same_end(work_dir, unbroken)


def test_resume_skips_damaged_checkpoints(train, tmp_path):
    train(tmp_path, '--resume')  # nothing to resume: starts
    expected = load(tmp_path / 'epoch_3.pth')
    for name in ('epoch_3.pth', 'epoch_2.pth'):
        truncate(tmp_path / name)
    train(tmp_path, '--resume')
    log = max(tmp_path.glob('*/*.log')).read_text()
    for name in ('epoch_3.pth', 'epoch_2.pth'):
        assert f'WARNING - {tmp_path / name}: missing or damaged' in log
    assert 'resumed epoch: 1, iter: 8' in log
    again = load(tmp_path / 'epoch_3.pth')
    for name, weight in expected['state_dict'].items():
        assert torch.equal(again['state_dict'][name], weight), name
    for path in tmp_path.glob('*.pth'):
        truncate(path)
    with pytest.raises(SystemExit, match=r'no intact checkpoint of the run \(epoch_3.pth, e'):
        train(tmp_path, '--resume')


def test_preempted_processes_stop_at_the_same_iteration(random_config, tmp_path):
    """Both stop at the same iteration; torchrun says that it got a signal."""
    unbroken, work_dir = tmp_path / 'unbroken', tmp_path / 'work'
    bash('dist_train.sh', random_config, 2, '--work-dir', unbroken, *OPTIONS)
    done = preempt(work_dir, ('bash', ROOT / 'tools/dist_train.sh', random_config, 2), after=5)
    assert done.returncode == 1
    assert done.stdout.count('SIGTERM: stopped after iteration') == 1
    assert 'SignalException: Process' in done.stderr  # of torchrun, and nothing of train.py
    assert done.stderr.count('Traceback') == 1
    assert 'tools/train.py' not in done.stderr
    assert 'preempted.pth' in (work_dir / 'last_checkpoint').read_text()
    meta = load(work_dir / 'preempted.pth')['meta']
    assert meta['iter'] % 3 == 0
    assert 5 <= meta['iter'] < 12
    done = bash('dist_train.sh', random_config, 2, '--resume', '--work-dir', work_dir, *OPTIONS)
    assert f'resumed epoch: {meta["epoch"]}, iter: {meta["iter"]}' in done.stdout
    check_same_end(work_dir, unbroken)


def work(started):
    _start_worker(None, 0)
    started.set()
    for _ in range(600):  # a signal right before a long sleep would wait for its end
        time.sleep(.1)


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_worker_ends_by_the_sigterm_of_the_main_process_alone(method):
    context = multiprocessing.get_context(method)
    started = context.Event()
    worker = context.Process(target=work, args=(started, ), daemon=True)
    worker.start()
    assert started.wait(60)
    subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)  # of a job manager
    worker.join(.3)
    assert worker.is_alive()
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


def test_sigterm_is_blocked_while_workers_start():
    """Until the first batch has arrived; a worker that ends before it reads would hang Python."""
    runner = SimpleNamespace(train_loop=ResumableTrainLoop.__new__(ResumableTrainLoop),
                             val_loop=None)
    runner.train_loop.dataloader = SimpleNamespace(worker_init_fn=None)
    hook, blocked = PreemptionHook(), []
    steps = (hook.before_train, hook.before_train_epoch, lambda r: hook.before_train_iter(r, 0),
             hook.before_val_epoch, lambda r: hook.before_val_iter(r, 0), hook.before_val_epoch,
             hook.after_train)
    for step in steps:
        step(runner)
        blocked.append(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert blocked == [False, True, False, True, False, True, False]
