"""train.py and test.py, alone and in two processes; resume after a kill; bad input."""

import csv
import json
import pickle
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mofm.hub.checkpoint import load_local
from tests.test_tools.tool_runner import ROOT, bash, environment, here, metrics, python

pytestmark = pytest.mark.slow
OPTIONS = '--cfg-options'


def kill_after_first_epoch(work_dir: Path, *command) -> int:
    """Start a training of 50 epochs, end it with SIGKILL when one is done; return the epoch."""
    process = subprocess.Popen(
        [*map(str, command), '--work-dir', work_dir, OPTIONS, 'train_cfg.max_epochs=50'],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    saved, end = work_dir / 'last_checkpoint', time.monotonic() + 200
    while not (saved.exists() and saved.read_text()):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(process.communicate()[0].decode()[-4000:])
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # returns when every process that could write has ended
    epoch = int(Path(saved.read_text()).stem.removeprefix('epoch_'))
    assert epoch < 50  # nobody trained on after the kill
    return epoch


@pytest.fixture(scope='module')
def trained(config, tmp_path_factory):
    """Work dir of two epochs without a break."""
    work_dir = tmp_path_factory.mktemp('trained')
    python('train.py', config, '--work-dir', work_dir, OPTIONS,
           'default_hooks.checkpoint.max_keep_ckpts=-1')
    return work_dir


@pytest.fixture(scope='module')
def tested(config, trained):
    """Work dir of the single-process test, with its table and dump."""
    work_dir = trained / 'test'
    done = python('test.py', config, trained / 'epoch_2.pth', '--work-dir', work_dir,
                  '--dump', work_dir / 'x.pkl', '--out', work_dir / 'x.csv')
    return work_dir, done


def load(path):
    return load_local(path)


def test_resumed_training_equals_unbroken_one(config, trained, tmp_path):
    """Epoch 2 after --resume is epoch 2 of the run without a break: weights, optimizer, rate."""
    python('train.py', config, '--work-dir', tmp_path, '--resume', trained / 'epoch_1.pth')
    resumed, unbroken, before = (load(p) for p in (
        tmp_path / 'epoch_2.pth', trained / 'epoch_2.pth', trained / 'epoch_1.pth'))
    assert not (tmp_path / 'epoch_1.pth').exists()
    assert (before['meta']['epoch'], before['meta']['iter']) == (1, 8)
    assert (resumed['meta']['epoch'], resumed['meta']['iter']) == (2, 16)
    assert resumed['param_schedulers'] == unbroken['param_schedulers']
    rates = [[group['lr'] for group in c['optimizer']['param_groups']]
             for c in (resumed, unbroken, before)]
    assert rates[0] == rates[1]
    assert rates[0][0] > rates[2][0]
    for name, weight in unbroken['state_dict'].items():
        assert torch.equal(resumed['state_dict'][name], weight), name
    for index, state in unbroken['optimizer']['state'].items():
        for name, value in state.items():
            assert torch.equal(resumed['optimizer']['state'][index][name], value), (index, name)


def test_killed_training_resumes(config, tmp_path):
    train = sys.executable, ROOT / 'tools/train.py', config
    epoch = kill_after_first_epoch(tmp_path, *train)
    done = python('train.py', config, '--work-dir', tmp_path, '--resume', OPTIONS,
                  f'train_cfg.max_epochs={epoch + 1}')
    assert f'resumed epoch: {epoch}, iter: {8 * epoch}' in done.stdout
    assert load(tmp_path / f'epoch_{epoch + 1}.pth')['meta']['iter'] == 8 * (epoch + 1)


def test_two_killed_processes_resume(config, tmp_path):
    script = ROOT / 'tools/dist_train.sh'
    epoch = kill_after_first_epoch(tmp_path, 'bash', script, config, 2)
    assert load(tmp_path / f'epoch_{epoch}.pth')['meta']['iter'] == 4 * epoch  # half the batches
    done = bash('dist_train.sh', config, 2, '--work-dir', tmp_path, '--resume', OPTIONS,
                f'train_cfg.max_epochs={epoch + 1}')
    assert f'resumed epoch: {epoch}, iter: {4 * epoch}' in done.stdout
    assert load(tmp_path / f'epoch_{epoch + 1}.pth')['meta']['epoch'] == epoch + 1


def read_table(path):
    with open(path, newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['name', 'label', 'prediction', 'score_0', 'score_1', 'score_2']
    return {row[0]: [float(v) for v in row[1:]] for row in rows[1:]}


def check_table(path, top1):
    """One row a clip, scores that sum to 1, and the metric can be computed from it."""
    rows = read_table(path)
    assert len(rows) == 15
    hits = 0
    for label, prediction, *scores in rows.values():
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert prediction == scores.index(max(scores))
        hits += prediction == label
    assert hits / 15 == pytest.approx(top1, abs=1e-12)
    return rows


def test_testing_writes_table_and_dump(tested):
    work_dir, done = tested
    top1 = metrics(work_dir)['acc/top1']
    assert f'acc/top1: {top1:.4f}' in done.stdout
    rows = check_table(work_dir / 'x.csv', top1)
    with open(work_dir / 'x.pkl', 'rb') as file:
        dump = pickle.load(file)
    assert [d['frame_dir'] for d in dump] == list(rows)
    assert [int(d['pred_label']) for d in dump] == [r[1] for r in rows.values()]


def test_two_processes_test_as_one(config, trained, tested, tmp_path):
    """15 clips: the sampler pads to 16 and the copy must not count."""
    bash('dist_test.sh', config, trained / 'epoch_2.pth', 2, '--work-dir', tmp_path,
         '--out', tmp_path / 'x.csv')
    assert metrics(tmp_path) == metrics(tested[0])
    rows = check_table(tmp_path / 'x.csv', metrics(tmp_path)['acc/top1'])
    page, = tmp_path.glob('*/report.html')
    page = page.read_text()
    wrong = {name for name, (label, prediction, *_) in rows.items() if label != prediction}
    assert '2 processes' in page
    assert set(re.findall('<strong>(.*?)</strong>', page)) == wrong
    alone = read_table(tested[0] / 'x.csv')
    assert list(rows) == list(alone)
    for name, row in rows.items():
        assert row == pytest.approx(alone[name], abs=1e-5)


@pytest.fixture
def fails(monkeypatch, tmp_path):
    """Run a tool in this process; returns the last line of its error."""

    def run(tool, *arguments):
        monkeypatch.syspath_prepend(ROOT / 'tools')
        monkeypatch.setenv('LOCAL_RANK', '0')
        arguments = *arguments, '--work-dir', tmp_path / 'work'
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        with pytest.raises((Exception, SystemExit)) as error:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        return str(error.value).splitlines()[-1]

    return run


@pytest.fixture
def truncated(trained, tmp_path):
    path = tmp_path / 'truncated.pth'
    path.write_bytes((trained / 'epoch_1.pth').read_bytes()[:3000])
    return path


def test_train_and_test_name_missing_files(config, tmp_path, fails):
    assert fails('test.py', config, 'none.pth').startswith('none.pth: no such checkpoint')
    assert fails('train.py', config, '--resume', 'none.pth').startswith(
        'none.pth: no such checkpoint')
    assert fails('train.py', 'none.py') == (
        f'none.py: no such config; {ROOT}/configs contains all of them')
    assert 'none.pkl: no such file; create it with mofm prepare' in fails(
        'train.py', ROOT / 'configs/dt1_penn_tiny.py', OPTIONS, 'model.backbone.init_cfg=None',
        'train_dataloader.dataset.ann_file=none.pkl')
    pretrained = tmp_path / 'dt1.py'
    pretrained.write_text(config.read_text().replace(
        'init_cfg=None', "init_cfg=dict(checkpoint='none.pth')"))
    assert 'none.pth: no such checkpoint; train it first or set the path' in fails(
        'train.py', pretrained)


@pytest.mark.parametrize(('option', 'near'), [
    ('train_dataloder.batch_size=4', 'train_dataloader'),
    ('optim_wrapper.optimzer.lr=1', 'optimizer'), ('train_cfg.max_epoch=3', 'max_epochs'),
    ('model.backbone.dept=3', 'depth'), ('train_dataloader.batchsize=3', 'batch_size'),
    ('optim_wrapper.optimizer.weight_deacy=3', 'weight_decay'),
    ('default_hooks.logger.intervall=3', 'interval'), ('randomness.sead=3', 'seed')])
def test_train_names_option_that_nothing_reads(config, fails, option, near):
    message = fails('train.py', config, OPTIONS, option)
    assert option.partition('.')[0] in message
    assert message.endswith(f'; did you mean {near}?')


def test_empty_argument_of_an_unset_variable_is_refused(config, tmp_path):
    for tool, arguments in (('train.py', ('--resume', '')), ('train.py', ('--work-dir', '')),
                            ('test.py', ('',))):
        done = here(tool, config, *arguments, check=False)
        assert done.returncode == 2
        assert 'found an empty text, expected a path' in done.stderr


def test_option_that_cannot_be_read_is_refused(config):
    for option in ('train_cfg.max_epochs', 'a=[1,2', "a={'type':", "a=[{'type': b}]"):
        done = here('print_config.py', config, '--cfg-options', option, check=False)
        assert done.returncode == 2
        assert f'--cfg-options: found {option}, expected KEY=VALUE' in done.stderr


def test_option_may_be_a_dict(config):
    sgd = "optim_wrapper.optimizer={'_delete_': True, 'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}"
    steps = "param_scheduler=[{'type': 'MultiStepLR', 'milestones': [1, 2]}]"
    done = here('print_config.py', config, '--cfg-options', sgd, steps)
    assert "optimizer=dict(lr=0.1, momentum=0.9, type='SGD')" in done.stdout
    assert "type='MultiStepLR'" in done.stdout
    assert 'LinearLR' not in done.stdout


def test_testing_names_option_that_nothing_reads(config, trained, fails):
    assert 'mean test_dataloader?' in fails('test.py', config, trained / 'epoch_1.pth', OPTIONS,
                                            'test_dataloder.batch_size=4')


def test_train_and_test_name_unreadable_checkpoint(config, truncated, fails):
    words = 'truncated.pth: not a readable checkpoint'
    assert words in fails('test.py', config, truncated)
    assert words in fails('train.py', config, '--resume', truncated)


def test_train_refuses_to_resume_weights_only(config, trained, tmp_path, fails):
    weights = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=load(trained / 'epoch_1.pth')['state_dict']), weights)
    assert 'weights.pth: found weights only, expected a checkpoint of a training' in fails(
        'train.py', config, '--resume', weights)


def test_train_names_vocabulary_mismatch(fails):
    assert 'vocab_size: found 512 in the tokenizer and 64 in the head, expected the same' in fails(
        'train.py', ROOT / 'configs/mofm/pretrain_tiny.py', OPTIONS, 'model.head.vocab_size=64')


def last_lines(done):
    """What a process prints, without empty lines; it must have failed."""
    assert done.returncode == 1
    return [line for line in done.stderr.splitlines() if line.strip()]


def test_testing_names_checkpoint_of_another_size(config, trained, tmp_path):
    done = python('test.py', config, trained / 'epoch_1.pth', '--work-dir', tmp_path, OPTIONS,
                  'model.backbone.embed_dims=64', 'model.cls_head.in_channels=64', check=False)
    *_, first, second, _, _, _, _, _, advice = last_lines(done)
    assert 'epoch_1.pth does not fit MotionRecognizer: 19 of 20 tensors differ' in first
    assert second == '  backbone.pos_embed: found (1, 96, 32), expected (1, 96, 64)'
    assert advice.startswith('Use the config the checkpoint was trained with')
    assert 'acc/top1' not in done.stdout


def test_dist_test_ends_when_a_process_fails(config, truncated, tmp_path):
    done = bash('dist_test.sh', config, truncated, 2, '--work-dir', tmp_path, check=False)
    assert any('truncated.pth: not a readable checkpoint' in line
               for line in last_lines(done)[-5:])


def test_second_training_in_a_work_dir_is_refused_until_overwrite(config, trained, tmp_path):
    """Also with two processes, which both stop; tests do not count as runs."""
    work_dir = shutil.copytree(trained, tmp_path / 'work')
    before = {path: path.read_bytes() for path in work_dir.rglob('*') if path.is_file()}
    command = config, '--seed', 1, '--work-dir', work_dir
    tail = OPTIONS, 'train_cfg.max_epochs=1'
    alone = here('train.py', *command, *tail, check=False)
    both = bash('dist_train.sh', config, 2, *command[1:], *tail, check=False)
    words = f'{work_dir}: belongs to another training (epoch_1.pth, epoch_2.pth); add --resume'
    assert words in alone.stderr
    assert words in both.stderr.splitlines()[-1]
    assert both.stderr.count(words) == 1  # for both processes
    assert 'Traceback' not in both.stderr
    assert 'elastic' not in both.stderr
    assert alone.returncode == both.returncode == 1
    assert {path: path.read_bytes() for path in work_dir.rglob('*') if path.is_file()
            and path.name != 'run.lock'} == {p: b for p, b in before.items()
                                             if p.name != 'run.lock'}
    here('test.py', config, work_dir / 'epoch_2.pth', '--work-dir', work_dir, OPTIONS,
         'test_dataloader.batch_size=3')
    written = work_dir / config.name
    assert written.read_bytes() == before[written]  # the config of the training
    log = max(work_dir.glob('*/report.html')).parent / 'vis_data/config.py'
    assert Config.fromfile(log).test_dataloader.batch_size == 3
    failed = here('train.py', *command, '--overwrite', *tail,
                  'train_dataloader.dataset.num_clips=1', check=False)
    assert failed.stderr.splitlines()[-1].startswith('train_dataloader: found label 0 only')
    assert 'Traceback' not in failed.stderr
    assert len(list(work_dir.glob('*.pth'))) == 2
    assert written.read_bytes() == before[written]
    here('train.py', *command, '--overwrite', *tail)
    assert [path.name for path in work_dir.glob('*.pth')] == ['epoch_1.pth']
    run = json.loads((work_dir / 'run.json').read_text())['id']
    meta = load(work_dir / 'epoch_1.pth')['meta']
    assert (meta['run_id'], meta['seed']) == (run, 1)
    assert len(list(work_dir.glob('*/report.html'))) == 1  # of the test
    here('test.py', config, work_dir / 'epoch_1.pth', '--work-dir', tmp_path / 'tested')
    here('train.py', config, '--work-dir', tmp_path / 'tested', *tail)
    again = here('train.py', config, '--work-dir', tmp_path / 'tested', *tail, 'resume=True')
    assert 'resumed epoch: 1, iter: 8' in again.stdout


def test_copied_work_dir_resumes_from_its_own_checkpoints(config, trained, tmp_path):
    """The original is complete, and last_checkpoint names it."""
    work_dir = shutil.copytree(trained, tmp_path / 'work')
    (work_dir / 'epoch_2.pth').unlink()
    before = {path: path.read_bytes() for path in trained.rglob('*') if path.is_file()}
    done = here('train.py', config, '--work-dir', work_dir, '--resume')
    assert 'resumed epoch: 1, iter: 8' in done.stdout
    for name, weight in load(trained / 'epoch_2.pth')['state_dict'].items():
        assert torch.equal(load(work_dir / 'epoch_2.pth')['state_dict'][name], weight), name
    assert {path: path.read_bytes() for path in trained.rglob('*') if path.is_file()} == before
