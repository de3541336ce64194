"""Fully sharded training on two processes."""

import json
import multiprocessing
import os

import pytest
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner

from mofm.hub.checkpoint import load_local
from mofm.models import DVEDTokenizer, MoFMBackbone
from mofm.registry import MODELS
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, bash

pytestmark = pytest.mark.slow
TINY = dict(num_frames=16, canvas=36, patch=4)
TEACHER = dict(TINY, vocab_size=64, code_dim=8, hidden=8, num_blocks=1)
BACKBONE = dict(TINY, embed_dims=32, depth=2, num_heads=2, max_tokens=96)
# Two steps an epoch, and nothing is random in them: all cubes with keypoints are masked. A large
# epsilon keeps Adam from enlarging the rounding errors of small gradients; rate and decay are so
# large that a wrong group of a parameter shows.
CONFIG = f"""
_base_ = {str(ROOT / 'configs/mofm')!r} + '/pretrain_SIZE.py'
model = dict(
    backbone=dict({BACKBONE}, embed=dict(channels=(8, 16))),
    tokenizer=dict(dict({TEACHER}), _delete_=True, type='DVEDTokenizer',
                   init_cfg=dict(type='Pretrained', checkpoint='FOLDER/dved.pth')),
    head=dict(vocab_size=64, in_channels=32),
    data_preprocessor=dict({TINY}))
load_from = 'FOLDER/start.pth'
data = dict(
    _delete_=True, type='SyntheticMotion', actions=('walk', 'wave', 'squat'), num_frames=(16, 20),
    pipeline=[
        dict(type='UniformSampleFrames', clip_len=16, test_mode=True),
        dict(type='PoseCompact', padding=0.25),
        dict(type='ThermalCubeFormat', **{TINY}),
        dict(type='KeypointMaskGenerator', min_masked=81, max_masked=81, unit='blocks', **{TINY}),
        dict(type='PackMotionInputs')])
loader = dict(num_workers=0, persistent_workers=False, sampler=dict(shuffle=False))
train_dataloader = dict(**loader, batch_size=4, dataset=dict(**data, num_clips=16, seed=0))
val_dataloader = dict(**loader, batch_size=4, dataset=dict(**data, num_clips=7, seed=1))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = [dict(type='LinearLR', start_factor=0.5, end=2)]
optim_wrapper = dict(
    optimizer=dict(lr=0.01, weight_decay=1., eps=0.01), paramwise_cfg=dict(layer_decay=0.5))
"""


def load(path):
    return load_local(path)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Folder with the work dirs of two processes: large, its second epoch again, and huge.

    Huge is trained in bfloat16, with weights that are not sharded (ZeRO-2).
    """
    folder = tmp_path_factory.mktemp('sharded')
    torch.manual_seed(0)
    teacher = DVEDTokenizer(**TEACHER)
    for parameter in teacher.parameters():
        parameter.data *= 3  # so that it uses several tokens
    torch.save(teacher.state_dict(), folder / 'dved.pth')
    for size in ('large', 'huge'):
        text = CONFIG.replace('SIZE', size).replace('FOLDER', str(folder))
        (folder / f'{size}.py').write_text(text)
    model = MODELS.build(load_config(folder / 'large.py').model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), folder / 'start.pth')
    bash('dist_train.sh', folder / 'large.py', 2, '--work-dir', folder / 'large')
    bash('dist_train.sh', folder / 'large.py', 2, '--work-dir', folder / 'resumed',
         '--resume', folder / 'large/epoch_1.pth')
    bash('dist_train.sh', folder / 'huge.py', 2, '--work-dir', folder / 'huge', '--amp',
         '--cfg-options', 'train_cfg.max_epochs=1',
         'strategy.reshard_after_forward=False')
    return folder


@pytest.fixture(scope='module')
def alone(folder):
    """Checkpoint of one process, which is not sharded, with the whole batches."""
    cfg = load_config(folder / 'large.py')
    cfg.pop('runner_type')
    cfg.pop('strategy')
    cfg.work_dir = str(folder / 'alone')
    cfg.train_dataloader.batch_size = 8
    Runner.from_cfg(cfg).train()
    return load(folder / 'alone/epoch_2.pth')


def same_end(found, expected):
    """Check that two trainings end equally, but for rounding errors."""
    assert found['resume'] == expected['resume']  # names of the parameters in the optimizer
    torch.testing.assert_close(found['state_dict'], expected['state_dict'], rtol=0, atol=1e-6)
    torch.testing.assert_close(found['optimizer']['state'], expected['optimizer']['state'],
                               rtol=1e-3, atol=1e-6)


def test_sharded_training_equals_one_process(folder, alone):
    start, saved = (load(folder / path) for path in ('start.pth', 'large/epoch_2.pth'))
    same_end(saved, alone)
    for name, tensor in saved['state_dict'].items():
        assert (tensor - start['state_dict'][name]).abs().max() > 1e-5, name


def test_sharded_training_resumes_exactly(folder):
    one, other = (load(folder / name / 'epoch_2.pth') for name in ('large', 'resumed'))
    torch.testing.assert_close(one['state_dict'], other['state_dict'], rtol=0, atol=0)
    torch.testing.assert_close(one['optimizer']['state'], other['optimizer']['state'], rtol=0,
                               atol=0)
    ids = [load(folder / name)['meta']['run_id'] for name in (
        'large/epoch_1.pth', 'large/epoch_2.pth', 'resumed/epoch_2.pth')]
    assert ids[0] == ids[1] != ids[2]


class Losses(Hook):
    """Mean loss of the processes by iteration."""

    def __init__(self):
        self.found = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().clone()
        all_reduce(loss, 'mean')
        self.found[runner.iter] = float(loss)


def train(rank, processes, folder, name, options):
    """Train in one process; the first writes the losses."""
    os.environ.update(LOCAL_RANK=str(rank))
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/{name}.store',
                                         rank=rank, world_size=processes)
    cfg = load_config(folder / 'large.py')
    cfg.merge_from_dict({'work_dir': str(folder / name), 'launcher': 'pytorch',
                         'strategy.sharded_checkpoints': True,
                         'default_hooks.checkpoint.max_keep_ckpts': 3,
                         'train_dataloader.batch_size': 8 // processes, **options})
    runner, losses = FlexibleRunner.from_cfg(cfg), Losses()
    runner.register_hook(losses)
    runner.train()
    if rank == 0:
        (folder / name / 'losses.json').write_text(json.dumps(losses.found))
    torch.distributed.destroy_process_group()


def fork(folder, name, number, **options) -> dict:
    """Train in so many processes; returns the losses."""
    context = multiprocessing.get_context('fork')  # torch is imported already
    processes = [context.Process(target=train, args=(rank, number, folder, name, options))
                 for rank in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return json.loads((folder / name / 'losses.json').read_text())


@pytest.fixture(scope='module')
def chain(folder):
    """Three epochs on two processes; the second again on one, the third on two."""
    return [fork(folder, name, number, **{'train_cfg.max_epochs': epochs, **options})
            for name, number, epochs, options in (
                ('two', 2, 3, {}),
                ('one', 1, 2, dict(resume=True, load_from=str(folder / 'two/epoch_1.pth'))),
                ('again', 2, 3, dict(resume=True, load_from=str(folder / 'one/epoch_2.pth'))))]


def test_sharded_checkpoint_resumes_on_any_number_of_processes(folder, chain):
    two, one, again = chain
    assert list(two) == list('012345')
    assert (list(one), list(again)) == (list('23'), list('45'))
    assert len(set(two.values())) == 6
    assert one | again == pytest.approx({i: two[i] for i in '2345'}, rel=1e-6)
    files = {path.suffix for path in (folder / 'again/epoch_3.pth').iterdir()}
    assert files == {'.pth', '.distcp', ''}
    same_end(*(load(folder / name / 'epoch_3.pth') for name in ('again', 'two')))


def test_sharded_training_resumes_unsharded_checkpoint(folder, alone):
    fork(folder, 'from_file', 2, **{'train_cfg.max_epochs': 2, 'resume': True,
                                    'load_from': str(folder / 'alone/epoch_1.pth')})
    same_end(load(folder / 'from_file/epoch_2.pth'), alone)


def test_sharded_checkpoint_equals_the_file_of_one(folder, chain):
    one, sharded = (load(folder / path) for path in ('large/epoch_2.pth', 'two/epoch_2.pth'))
    assert one.keys() == sharded.keys()
    for part in ('state_dict', 'optimizer'):
        torch.testing.assert_close(sharded[part], one[part], rtol=0, atol=0)


@pytest.mark.parametrize('checkpoint', ['large/epoch_2.pth', 'huge/epoch_1.pth'])
def test_sharded_checkpoint_starts_fine_tuning(folder, checkpoint):
    state = load(folder / checkpoint)['state_dict']
    backbone = MoFMBackbone(
        **BACKBONE, embed=dict(type='ConvCubeEmbed', channels=(8, 16)), tokens='occupied',
        init_cfg=dict(type='Pretrained', checkpoint=str(folder / checkpoint),
                      prefix='backbone.'))
    backbone.init_weights()
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, state[f'backbone.{name}'])
