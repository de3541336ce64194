"""Recipes of docs/recipes.md, run from their snippets."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mofm.apis.model import init_model
from mofm.hub.checkpoint import load_local
from mofm.registry import HOOKS
from mofm.utils.config import load_config

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / 'configs').rglob('*.py')
                 if '_base_' not in p.parts)
# 16 clips of 3 actions; nothing is random in training
TINY = f"""
_base_ = {str(ROOT / 'configs/quickstart/dt1_synthetic.py')!r}
data = dict(actions=('walk', 'wave', 'squat'), num_frames=(16, 20), pipeline=_base_.val_pipeline)
model = dict(
    backbone=dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None),
    cls_head=dict(num_classes=3, in_channels=32, dropout=0.))
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(**loader, batch_size=16, dataset=dict(**data, num_clips=16))
val_dataloader = dict(**loader, batch_size=16, dataset=dict(**data, num_clips=15))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=3, val_interval=1)
param_scheduler = [dict(type='ConstantLR', factor=1.)]
default_hooks = dict(logger=dict(interval=1))
"""
SECTIONS = re.split(r'^## ', (ROOT / 'docs/recipes.md').read_text(encoding='utf-8'),
                    flags=re.M)[1:]
SNIPPETS = {section.splitlines()[0]: block[1] for section in SECTIONS
            if (block := re.search(r'^```python\n(.+?)^```', section, re.M | re.S))}


@pytest.fixture
def recipe(tmp_path):
    """Config of a recipe, on the tiny classifier."""
    (tmp_path / 'tiny.py').write_text(TINY)

    def load(title=None, **options):
        text = SNIPPETS[title] if title else "_base_ = 'quickstart/dt1_synthetic.py'"
        path = tmp_path / 'mine.py'
        path.write_text(text.replace('quickstart/dt1_synthetic.py', 'tiny.py'))
        cfg = load_config(path)
        cfg.work_dir = str(tmp_path / 'work')
        cfg.experiment_name = f'{tmp_path.name}_{len(list(tmp_path.iterdir()))}'
        cfg.merge_from_dict(options)
        return cfg

    return load


def run(cfg, *hooks):
    """Train; returns the runner."""
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


@HOOKS.register_module()
class Recorder(Hook):
    """Weights after every iteration, before any average of them, and while validating."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.trained, self.validated = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained.append(copy(runner.model))

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self.validated.append(copy(runner.model))


def copy(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other, tolerance=0.):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=tolerance, msg=name)


def load(path):
    return load_local(path)


def test_recipe_snippets_are_configs(recipe):
    assert len(SNIPPETS) == 7
    for title in SNIPPETS:
        assert recipe(title).model.type == 'MotionRecognizer', title


EMA = 'Average of the weights (EMA)'


def test_recipe_ema_equals_hand_computation(recipe):
    """average = 0.998 average + 0.002 weights: validated, saved, loaded, resumed."""
    cfg = recipe(EMA, **{'default_hooks.checkpoint.max_keep_ckpts': -1})
    recorder = Recorder()
    runner = run(cfg, recorder)
    average = dict(recorder.trained[0])
    averages = [average]
    for weights in recorder.trained[1:]:
        average = {name: 0.998 * average[name] + 0.002 * weights[name] for name in weights}
        averages.append(average)
    assert len(averages) == len(recorder.validated) == 3
    for expected, used in zip(averages, recorder.validated, strict=True):
        same(expected, used, 1e-6)
    assert max((average[n] - weights[n]).abs().max() for n in average) > 1e-4  # they do differ
    same(copy(runner.model), recorder.trained[-1])  # swapped back

    work_dir = Path(runner.work_dir)
    saved = load(work_dir / 'epoch_3.pth')
    same(saved['state_dict'], average, 1e-6)
    ema = saved['ema_state_dict']
    same({k.removeprefix('module.'): v for k, v in ema.items() if k != 'steps'},
         recorder.trained[-1])
    same(copy(init_model(cfg, work_dir / 'epoch_3.pth', device='cpu')), saved['state_dict'])

    again = recipe(EMA, resume=True, load_from=str(work_dir / 'epoch_1.pth'))
    again.work_dir = str(work_dir / 'resumed')
    run(again)
    resumed = load(work_dir / 'resumed/epoch_3.pth')
    same(resumed['state_dict'], saved['state_dict'])
    same(resumed['ema_state_dict'], ema)


def test_recipe_ema_keeps_the_checkpoint_guard(recipe):
    runner = run(recipe(EMA, **{'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 9}))
    path = f'{runner.work_dir}/epoch_1.pth'
    wide = {'model.backbone.embed_dims': 64, 'model.cls_head.in_channels': 64}
    for options in (dict(resume=True), {}):
        with pytest.raises(ValueError, match='does not fit MotionRecognizer: 19 of 20 tensors'):
            run(recipe(EMA, load_from=path, **wide, **options))


class Step(Hook):
    """Counts the steps of the optimizer."""

    def before_train(self, runner):
        self.count, step = 0, runner.optim_wrapper.optimizer.step

        def counted(*args, **kwargs):
            self.count += 1
            return step(*args, **kwargs)

        runner.optim_wrapper.optimizer.step = counted


def test_recipe_accumulated_gradient_equals_large_batch(recipe):
    """Two batches of 4 against one of 8, by SGD, which unlike Adam passes on every error."""
    options = {
        'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 9,
        'train_dataloader.dataset.num_clips': 8, 'optim_wrapper.clip_grad': None,
        'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.1)}
    steps, models = {}, {}
    for batch, counts in ((8, 1), (4, 2), (4, 1)):
        cfg = recipe('Gradient accumulation' if counts == 2 else None, **options)
        assert cfg.optim_wrapper.get('accumulative_counts', 1) == counts
        cfg.train_dataloader.batch_size = batch
        hook = Step()
        models[batch, counts] = copy(run(cfg, hook).model)
        steps[batch, counts] = hook.count
    assert steps == {(8, 1): 1, (4, 2): 1, (4, 1): 2}
    same(models[8, 1], models[4, 2], 1e-6)
    assert any((models[8, 1][n] - w).abs().max() > 1e-4 for n, w in models[4, 1].items())


class Calls(Hook):
    """Counts how often a block computes something in an iteration."""

    def before_train(self, runner):
        self.count = 0
        runner.model.backbone.blocks[0].fc1.register_forward_hook(self._called)

    def _called(self, *_):
        self.count += torch.is_grad_enabled()


def test_recipe_activation_checkpointing_gives_same_weights(recipe):
    """The same weights, dropout included; the blocks are computed twice."""
    models, calls = [], []
    for title in ('Activation checkpointing', None):
        hook = Calls()
        options = {'model.backbone.drop_rate': 0.1, 'model.backbone.drop_path_rate': 0.1,
                   'model.backbone.depth': 2}
        models.append(copy(run(recipe(title, **options), hook).model))
        calls.append(hook.count)
    same(*models, 1e-6)
    assert calls == [6, 3]


def test_recipe_layer_decay_gives_rates_per_depth(recipe):
    """One block: the head has the full rate, block 1 0.75 of it, the embedding 0.75^2."""
    cfg = recipe('Layer-wise learning-rate decay')
    init_default_scope('mofm')
    runner = Runner.from_cfg(cfg)
    groups = runner.build_optim_wrapper(runner.optim_wrapper).optimizer.param_groups
    rate = {id(p): g['lr'] for g in groups for p in g['params']}
    model = runner.model
    for parameter, power in ((model.cls_head.fc.weight, 0), (model.backbone.blocks[0].fc1.bias, 1),
                             (model.backbone.embed.weight, 2)):
        assert rate[id(parameter)] == pytest.approx(1e-3 * 0.75**power)


class Constant(Hook):
    """A metric that does not get better after the second validation."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.values = [0.4, 0.5, 0.504, 0.2, 0.503, 0.9]

    def after_val_epoch(self, runner, metrics=None):
        metrics['acc/top1'] = self.values[runner.epoch - 1]


def test_recipe_early_stopping_keeps_the_best_checkpoint(recipe):
    """0.504 is less than 0.005 above 0.5: three validations without a gain, so epoch 5 is last."""
    cfg = recipe('Early stopping, best checkpoint', **{'train_cfg.max_epochs': 6})
    runner = run(cfg, Constant())
    assert runner.epoch == 5
    best, = Path(runner.work_dir).glob('best_*.pth')
    assert best.name == 'best_acc_top1_epoch_3.pth'


def scalars(runner):
    """Lines of MMEngine's own log."""
    file, = Path(runner.work_dir).glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_recipe_tensorboard_logs_losses(recipe):
    accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator', reason='needs tensorboard')
    runner = run(recipe('TensorBoard'))
    folder, = Path(runner.work_dir).glob('*/vis_data')
    events = accumulator.EventAccumulator(str(folder)).Reload()
    for name in ('loss_cls', 'acc/top1'):
        logged = [line[name] for line in scalars(runner) if name in line]
        assert len(logged) == 3
        assert [e.value for e in events.Scalars(name)] == pytest.approx(logged)
        assert [e.step for e in events.Scalars(name)] == [1, 2, 3]


def test_recipe_wandb_logs_losses_and_config(recipe, monkeypatch, tmp_path):
    wandb = pytest.importorskip('wandb', reason='needs wandb')
    for name in ('DATA', 'CACHE', 'CONFIG'):
        monkeypatch.setenv(f'WANDB_{name}_DIR', str(tmp_path / name))
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SILENT', 'true')
    runner = run(recipe('Weights & Biases', **{'train_cfg.max_epochs': 2}))
    wandb.teardown()  # what the end of a process does: the service writes the rest and leaves
    file, = Path(runner.work_dir).glob('*/vis_data/wandb/offline-run-*/run-*.wandb')
    record = file.read_bytes()
    for line in scalars(runner):
        for name in line.keys() & {'loss_cls', 'acc/top1'}:
            assert name.encode() in record
            assert str(line[name]).encode() in record
    assert b'ThermalCubeFormat' in record  # the config
    assert b'mofm_backbone.py' not in record  # no code


def test_configs_state_their_batch_size():
    """Every config states the batch size that it has."""
    for path in CONFIGS:
        cfg = load_config(ROOT / path)
        assert cfg.auto_scale_lr == dict(
            enable=False, base_batch_size=cfg.train_dataloader.batch_size), path


@pytest.fixture
def train(monkeypatch, tmp_path):
    """train.py in this process, up to the first step."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setenv('LOCAL_RANK', '0')

    def call(config, *arguments):
        monkeypatch.setattr(sys, 'argv', ['train.py', str(config), '--work-dir', str(tmp_path),
                                          *arguments])
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')

    return call


def test_auto_scale_lr_scales_all_rates(recipe, train, tmp_path):
    """Batch 8 instead of 16 halves the rate."""
    recipe()
    options = ('--cfg-options', 'train_dataloader.batch_size=8', 'train_cfg.max_epochs=1',
               'train_cfg.val_interval=9', 'optim_wrapper.paramwise_cfg.layer_decay=1.')
    for factor, flags in ((1, ()), (0.5, ('--auto-scale-lr', '--overwrite'))):
        train(tmp_path / 'mine.py', *flags, *options)
        groups = load(tmp_path / 'epoch_1.pth')['optimizer']['param_groups']
        assert [g['lr'] for g in groups] == pytest.approx([1e-3 * factor] * len(groups))


def test_auto_scale_lr_names_what_cannot_be_scaled(train, tmp_path):
    flag = '--auto-scale-lr'
    with pytest.raises(SystemExit, match='OneCycleLR sets .* set its eta_max, now 0.0006'):
        train(ROOT / 'configs/dt3_penn_tiny.py', flag)
    with pytest.raises(SystemExit, match='accumulated batches are not counted'):
        train(ROOT / 'configs/quickstart/dt1_synthetic.py', flag, '--cfg-options',
              'optim_wrapper.accumulative_counts=2')
    bare = tmp_path / 'bare.py'
    bare.write_text(f"_base_ = {str(ROOT / 'configs/quickstart/dt1_synthetic.py')!r}\n"
                    'auto_scale_lr = dict(_delete_=True, enable=True)\n')
    with pytest.raises(SystemExit, match='found no base_batch_size in the config'):
        train(bare)
