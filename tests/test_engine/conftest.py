"""A tiny training that draws all kinds of random numbers."""

import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mofm.hub.checkpoint import load_local
from mofm.registry import MODELS
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
# Everything that draws numbers: augmentation, masks, dropout, stochastic depth. 22 clips make five
# batches of 4 and one of 2.
TINY = f"""
_base_ = '{ROOT}/configs/mofm/pretrain_tiny.py'
data = dict(_delete_=True, type='SyntheticMotion', actions=('walk', 'wave', 'squat'),
            num_frames=(16, 24), pipeline=_base_.train_pipeline)
model = dict(
    backbone=dict(embed_dims=32, depth=2, num_heads=2, drop_rate=0.1, drop_path_rate=0.3),
    tokenizer=dict(hidden=8, code_dim=16, num_blocks=1, vocab_size=64),
    head=dict(vocab_size=64, in_channels=32))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False,
                        dataset=dict(**data, num_clips=22))
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False,
                      dataset=dict(**data, num_clips=4))
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=1))
train_cfg = dict(max_epochs=3, val_interval=1)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, end=3, convert_to_iter_based=True)]
"""


class Record(Hook):
    """Loss, clips and place of every iteration; SIGTERM after one of them."""

    def __init__(self, stop=None):
        self.stop = stop
        self.losses, self.clips, self.places, self.rates, self.validations = {}, {}, {}, {}, []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates[runner.iter] = [g['lr'] for g in runner.optim_wrapper.optimizer.param_groups]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses[runner.iter] = outputs['loss'].item()
        self.clips[runner.iter] = [s.frame_dir for s in data_batch['data_samples']]
        self.places[runner.iter] = runner.epoch, batch_idx
        if runner.iter == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)

    def after_val_epoch(self, runner, metrics=None):
        self.validations.append(runner.epoch)


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory):
    """Checkpoint of a teacher."""
    path = tmp_path_factory.mktemp('tokenizer') / 'dved.pth'
    config = path.with_suffix('.py')
    config.write_text(TINY)
    cfg = load_config(config).model.tokenizer
    torch.manual_seed(0)
    torch.save(MODELS.build({**cfg, 'init_cfg': None}).state_dict(), path)
    return str(path)


@pytest.fixture
def train(tmp_path, tokenizer, monkeypatch):
    """Train in a folder; returns what was recorded."""
    monkeypatch.setattr(Config, 'pretty_text', '')  # takes longer to format than to train
    (tmp_path / 'tiny.py').write_text(TINY)
    runs = iter(range(100))

    def run(folder='run', stop=None, resume=None, hooks=(), **options):
        cfg = load_config(tmp_path / 'tiny.py')
        cfg.work_dir = str(tmp_path / folder)
        cfg.experiment_name = f'{tmp_path.name}_{next(runs)}'
        cfg.model.tokenizer.init_cfg.checkpoint = tokenizer
        cfg.merge_from_dict(options)
        if resume:
            cfg.resume, cfg.load_from = True, str(tmp_path / folder / resume)
        record = Record(stop)
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        for hook in (record, *hooks):
            runner.register_hook(hook)
        runner.train()
        record.runner = runner
        return record

    run.folder = tmp_path
    return run


def load(path):
    return load_local(path)


def same_training(one, other):
    """Weights, states of the optimizer, averages: whatever tensors two checkpoints hold."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        for a, b in zip(one, other, strict=True):
            same_training(a, b)
    elif torch.is_tensor(one):
        assert torch.equal(one, other)
