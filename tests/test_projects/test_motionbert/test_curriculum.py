"""Epochs of several loaders: order and exact resumption."""

import os
import random
import signal
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mofm.registry import DATASETS, MODELS
from projects.motionbert.lifting.curriculum import CurriculumTrainLoop  # noqa: F401

pytestmark = pytest.mark.slow


@DATASETS.register_module()
class Numbers(Dataset):
    """Data set of samples (source, index, random number)."""

    def __init__(self, source, length):
        self.source = source
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([self.source, index, random.random()]))


@MODELS.register_module()
class Regression(BaseModel):
    """Model whose weights depend on batches, their order and dropout."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, inputs, mode):
        return dict(loss=nn.functional.dropout(self.fc(torch.stack(inputs))).square().mean())


class Record(Hook):
    """Hook that records position and samples of iterations and sends SIGTERM after one."""

    def __init__(self, stop):
        self.stop = stop
        self.seen = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        samples = [tuple(x.tolist()) for x in data_batch['inputs']]
        self.seen[runner.iter] = (runner.epoch, batch_idx, len(runner.train_dataloader), samples)
        if runner.iter == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)


def loader(source, length, batch_size=2, **options):
    return dict(batch_size=batch_size, num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=dict(type='Numbers', source=source, length=length), **options)


# Batches: 3 of source 0 in each of four epochs; 2 of source 1 from epoch 1 on; 4 of source 2 in
# epochs 1 and 2.
LOADERS = dict(train_dataloader=loader(0, 6), train_cfg=dict(
    type='CurriculumTrainLoop', max_epochs=4, extra_begin=1,
    extra_dataloaders=[loader(1, 3), loader(2, 7, epochs=(1, 3))]))
ORDER = ['000', '112222000', '112222000', '11000']


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train in a folder and return the record."""
    monkeypatch.setattr(Config, 'pretty_text', '')  # slower than the training
    runs = iter(range(100))

    def run(folder='run', stop=None, resume=False, **options):
        record = Record(stop)
        runner = Runner(
            dict(type='Regression'), str(tmp_path / folder), **(LOADERS | options),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
            param_scheduler=dict(type='ExponentialLR', gamma=0.5), resume=resume,
            load_from=str(tmp_path / folder / 'preempted.pth') if resume else None,
            custom_hooks=[dict(type='PreemptionHook')], randomness=dict(seed=0),
            experiment_name=f'{tmp_path.name}_{next(runs)}', default_scope='mofm',
            log_level='WARNING')
        runner.register_hook(record)
        runner.train()
        record.runner = runner
        return record

    return run


def weights(record):
    return torch.cat([p.flatten() for p in record.runner.model.parameters()])


def test_curriculum_reads_loaders_in_order(train):
    record = train()
    expected = [(epoch, i, len(sources), int(source)) for epoch, sources in enumerate(ORDER)
                for i, source in enumerate(sources)]
    found = [(*place, int(samples[0][0])) for *place, samples in record.seen.values()]
    assert found == expected
    assert list(record.seen) == list(range(26))
    assert record.runner.max_iters == 26
    drawn = []
    for source, length in ((0, 6), (1, 3), (2, 7)):
        epochs = [[s for place, _, _, samples in record.seen.values() for s in samples
                   if (place, s[0]) == (epoch, source)] for epoch in range(4)]
        indices = [[int(s[1]) for s in samples] for samples in epochs if samples]
        assert all(sorted(set(order)) == list(range(length)) for order in indices)
        assert len({tuple(order) for order in indices}) > 1  # reshuffled
        drawn += [s[2] for samples in epochs for s in samples]
    assert len(set(drawn)) == len(drawn)  # every position has its own generator


@pytest.fixture(scope='module')
def unbroken():
    """Cache the uninterrupted run."""
    return {}


@pytest.mark.parametrize('stop', [3, 6, 10, 11, 23])  # in each loader, and after an epoch
def test_curriculum_resumes_bit_for_bit(train, unbroken, stop):
    if not unbroken:
        unbroken['record'] = train('unbroken')
    first = train(stop=stop)
    assert list(first.seen) == list(range(stop + 1))
    second = train(resume=True)
    assert first.seen | second.seen == unbroken['record'].seen
    assert list(second.seen) == list(range(stop + 1, 26))
    assert torch.equal(weights(second), weights(unbroken['record']))


def test_curriculum_with_other_epoch_length_restarts_the_epoch(train):
    """Epoch 2 has 4 + 2 + 3 batches, and 2 + 2 + 3 with another batch size of source 2."""
    train(stop=5)
    extra = [loader(1, 3), loader(2, 7, batch_size=4, epochs=(1, 3))]
    again = train(resume=True, train_cfg=dict(LOADERS['train_cfg'], extra_dataloaders=extra))
    assert list(again.seen) == list(range(3, 22))
    assert again.seen[3][:3] == (1, 0, 7)
    log, = Path(again.runner.log_dir).glob('*.log')
    assert ('found 5.5 batches in an epoch, 6.5 in the checkpoint; epoch 2 starts with its first '
            'batch, as iteration 3 instead of 6') in log.read_text()


def test_curriculum_longer_training_resumes(train):
    """The last epoch of the shorter training is not repeated."""
    train(stop=24)
    again = train(resume=True, train_cfg=dict(LOADERS['train_cfg'], max_epochs=5))
    assert list(again.seen) == list(range(25, 31))


def test_curriculum_workers_of_all_loaders_ignore_sigterm(train):
    stages = train(train_cfg=dict(LOADERS['train_cfg'], max_epochs=1)).runner.train_dataloader
    assert len({id(s.loader.worker_init_fn) for s in stages.stages}) == 1
    assert stages.worker_init_fn.func.__name__ == '_start_worker'
