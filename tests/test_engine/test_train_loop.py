"""Resumed training equals uninterrupted training."""

import os
import random
import signal
import subprocess
import threading
import time
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from mofm.datasets import SyntheticMotion
from mofm.engine import PreemptionHook, ResumableTrainLoop
from mofm.engine.runner import train_loop
from mofm.engine.runner.train_loop import SeededBatchSampler, SeededDataset, draw_seeds
from mofm.registry import DATA_SAMPLERS, DATASETS
from mofm.utils.config import load_config
from tests.test_engine.conftest import load, same_training

pytestmark = pytest.mark.slow


def check_resumed(train, stop, unbroken=None, **options):
    """Stop after an iteration, resume, compare with a training without a break."""
    unbroken = unbroken or train('unbroken', **options)
    first = train(stop=stop, **options)
    second = train(resume='preempted.pth', **options)
    for name in ('losses', 'clips', 'places'):
        parts = getattr(first, name), getattr(second, name)
        assert not parts[0].keys() & parts[1].keys()
        assert parts[0] | parts[1] == getattr(unbroken, name), name
    last = f'epoch_{unbroken.runner.max_epochs}.pth'
    saved, expected = load(train.folder / 'run' / last), load(train.folder / 'unbroken' / last)
    for name in saved.keys() - {'message_hub', 'meta'}:
        same_training(saved[name], expected[name])
    return first, second


def test_pretraining_resumes_bit_for_bit(train):
    """No worker without a break; one before the break and two after it."""
    unbroken = train('unbroken')
    assert len(set(unbroken.losses.values())) == 18
    workers = 'train_dataloader.num_workers'
    first = train(stop=8, **{workers: 1})
    assert list(first.losses) == list(range(9))
    assert first.validations == [1]
    saved = load(train.folder / 'run/preempted.pth')
    assert (saved['meta']['epoch'], saved['meta']['iter']) == (1, 9)
    last = train.folder / 'run/last_checkpoint'
    assert last.read_text() == str(train.folder / 'run/preempted.pth')
    second = train(resume='preempted.pth',
                   **{workers: 2, 'train_dataloader.persistent_workers': True})
    assert first.losses | second.losses == unbroken.losses
    assert list(second.losses) == list(range(9, 18))
    assert second.validations == [2, 3]
    assert second.places[9] == (1, 3)
    ends = [load(train.folder / folder / 'epoch_3.pth') for folder in ('unbroken', 'run')]
    for name in ('state_dict', 'optimizer', 'param_schedulers'):
        same_training(*(end[name] for end in ends))


@DATASETS.register_module()
class CountedMotion(SyntheticMotion):
    """Remembers which clips were read."""

    read = []

    def prepare_data(self, idx):
        self.read.append(idx)
        return super().prepare_data(idx)


def test_resume_does_not_read_skipped_batches(train):
    options = {'train_dataloader.dataset.type': 'CountedMotion', 'train_cfg.max_epochs': 1}
    CountedMotion.read.clear()
    train(stop=1, **options)
    before = CountedMotion.read[:]
    CountedMotion.read.clear()
    train(resume='preempted.pth', **options)
    assert len(before) == 8
    assert len(CountedMotion.read) == 14
    assert sorted(before + CountedMotion.read) == list(range(22))


@DATA_SAMPLERS.register_module()
class ShrinkingBatches(BatchSampler):
    """Batches of 4, 3, 2, 1, 4, ... samples."""

    def __init__(self, sampler, batch_size):
        super().__init__(sampler, batch_size, False)

    def __iter__(self):
        indices = list(self.sampler)
        for batch in range(len(self)):
            yield [indices.pop() for _ in range(4 - batch % 4)]

    def __len__(self):
        return 8


CLIPS = dict(type='SyntheticMotion', actions=('walk', 'wave'), num_frames=(16, 24))
LOADERS = {
    'mixture': {
        'drop_last': True,
        'sampler': dict(_delete_=True, type='MixtureSampler', weights=(1, 3)),
        'dataset': dict(_delete_=True, type='ConcatDataset',
                        datasets=[dict(CLIPS, num_clips=n, seed=n) for n in (11, 7)])},
    'balanced': {'sampler': dict(_delete_=True, type='ClassBalancedSampler', batch_size=4)},
    'own batches': {'batch_sampler': dict(type='ShrinkingBatches')}}


@pytest.mark.parametrize(('name', 'batches'), [('mixture', 4), ('balanced', 6),
                                               ('own batches', 8)])
def test_resume_works_with_any_sampler(train, name, batches):
    options = {f'train_dataloader.{key}': value for key, value in LOADERS[name].items()}
    if name == 'mixture':
        pipeline = load_config(train.folder / 'tiny.py').train_pipeline
        for data in options['train_dataloader.dataset']['datasets']:
            data['pipeline'] = pipeline
    options.update({'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 9})
    first, _ = check_resumed(train, batches + 1, **options)
    assert len(first.runner.train_dataloader) == batches
    epochs = [[first.clips[i] for i in (k, batches + k)] for k in range(2)]
    assert epochs[0] != epochs[1]  # another order in the second epoch
    metainfo = first.runner.train_dataloader.dataset.metainfo
    assert list(metainfo['classes'])[:2] == ['walk', 'wave']


def test_resume_after_last_batch_ends_the_epoch(train):
    """The checkpoint and the validation of the epoch's end are caught up on."""
    options = {'train_cfg.max_epochs': 2}
    first, second = check_resumed(train, 5, **options)
    assert first.validations == []
    assert list(second.losses) == list(range(6, 12))
    assert second.validations == [1, 2]
    assert (train.folder / 'run/epoch_1.pth').exists()


def test_resume_keeps_average_of_the_weights(train):
    hooks = [dict(type='PreemptionHook'), dict(type='EMAHook', momentum=0.1)]
    check_resumed(train, 3, custom_hooks=hooks, **{'train_cfg.max_epochs': 1})
    saved = load(train.folder / 'run/preempted.pth')
    assert saved['ema_state_dict']['steps'] == 4  # that of the last iteration included


def test_resume_works_with_flexible_runner(train):
    """MMEngine's other runner, for sharded training."""
    check_resumed(train, 8, runner_type='FlexibleRunner', **{'train_cfg.max_epochs': 2})


def test_resume_keeps_accumulated_gradients(train):
    """Told to stop after the first of four batches, the training ends the cycle."""
    options = {'optim_wrapper.accumulative_counts': 4, 'train_cfg.max_epochs': 2}
    first, second = check_resumed(train, 4, **options)
    assert (max(first.losses), min(second.losses)) == (7, 8)


def test_resume_with_other_epoch_length_restarts_the_epoch(train):
    """Epoch 2 starts anew with 11 batches of 2 clips, and can be stopped again."""
    train(stop=7)
    shorter = {'train_dataloader.batch_size': 2}
    again = train(resume='preempted.pth', stop=13, **shorter)
    assert again.places == {11: (1, 0), 12: (1, 1), 13: (1, 2)}
    log, = Path(again.runner.log_dir).glob('*.log')
    assert ('train_dataloader: found 11 batches in an epoch, 6 in the checkpoint; epoch 2 starts '
            'with its first batch, as iteration 11 instead of 8') in log.read_text()
    last = train(resume='preempted.pth', **shorter)
    assert last.places[14] == (1, 3)
    assert list(last.losses) == list(range(14, 33))


def test_stop_within_epoch_runs_end_of_training_only(train):
    """Nothing of the end of the epoch is run, the end of the training is."""
    calls = []

    class Stop(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            runner.train_loop.stop_training = batch_idx == 2

        def after_train_epoch(self, runner):
            calls.append('epoch')

        def after_val(self, runner):
            calls.append('val')

        def after_train(self, runner):
            calls.append(runner.iter)

    train(hooks=[Stop()])
    assert calls == [3]
    assert not list((train.folder / 'run').glob('*.pth'))


def test_loader_seeds_of_places_differ():
    places = [*product(range(3), range(5)), *product(range(3), range(5), range(5))]
    seeds = [tuple(draw_seeds(0, *place)[0]) for place in places]
    seeds += [tuple(draw_seeds(1, *place)[0]) for place in places]
    assert len({number for three in seeds for number in three}) == 3 * 2 * 90
    sequence = np.random.SeedSequence(7, spawn_key=(0, 1, 2))
    assert sum(draw_seeds(7, 0, 1, 2, count=4), []) == list(sequence.generate_state(12))


def test_loader_sample_has_generators_of_its_own():
    class Draws:
        metainfo = dict(classes=('a', ))

        def __getitem__(self, index):
            return index, random.random(), np.random.random(), torch.rand(1).item()

        def __getitems__(self, indices):
            raise AssertionError('reads without seeds')

        def __len__(self):
            return 10

    def epoch(start=0, workers=0, number=0):
        batches = SeededBatchSampler(BatchSampler(range(10), 3, False))
        batches.set_place(seed=5, epoch=number, start=start)
        loader = DataLoader(data, batch_sampler=batches, num_workers=workers,
                            collate_fn=lambda samples: samples)
        assert len(loader) == 4
        return list(loader)

    data = SeededDataset(Draws())
    assert data.metainfo == dict(classes=('a', ))
    assert not hasattr(data, 'other')
    whole = epoch()
    assert [s[0] for batch in whole for s in batch] == list(range(10))
    drawn = [number for batch in whole for sample in batch for number in sample[1:]]
    assert len(set(drawn)) == 30
    assert epoch(start=2) == epoch(start=2, workers=2) == whole[2:]
    assert epoch(start=4) == []
    assert not {s[1] for batch in epoch(number=1) for s in batch} & set(drawn)


def test_resume_refuses_data_without_batch_sampler(train):
    class Stream(IterableDataset):
        metainfo = {}

        def __iter__(self):
            yield from range(3)

        def __len__(self):
            return 3

    runner = SimpleNamespace(visualizer=SimpleNamespace())
    with pytest.raises(TypeError, match='train_dataloader: found Stream without a batch sampler'):
        ResumableTrainLoop(runner, DataLoader(Stream(), batch_size=None), max_epochs=1)


def test_preemption_hook_needs_the_loop(train):
    with pytest.raises(ValueError, match='interval: found 0, expected at least 1'):
        PreemptionHook(interval=0)
    with pytest.raises(TypeError, match='found EpochBasedTrainLoop, expected ResumableTrainLoop'):
        train(**{'train_cfg': dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)})


def test_preemption_restores_sigterm_handler(train):
    def handler(signum, frame):
        pass

    options = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 9}
    before = signal.signal(signal.SIGTERM, handler)
    try:
        train(**options)
        assert signal.getsignal(signal.SIGTERM) is handler
        thread = threading.Thread(target=train, kwargs=dict(folder='thread', **options))
        thread.start()  # only the main thread of a process may listen to signals
        thread.join()
        assert (train.folder / 'thread/epoch_1.pth').exists()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_preemption_sigterm_to_all_processes_loses_no_worker(train):
    """As Slurm and ``timeout`` send it: no worker is lost, nor one that waits for a validation."""
    class Kill(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 7:
                loaders = runner.train_dataloader, runner.val_dataloader
                workers = [w for loader in loaders for w in loader._iterator._workers]
                pids = [os.getpid(), *(worker.pid for worker in workers)]
                subprocess.run(['kill', '-TERM', *map(str, pids)], check=True)
                time.sleep(0.5)
                alive.extend(worker.is_alive() for worker in workers)
                workers[1].terminate()  # as at the end of this process
                workers[1].join(20)
                alive.append(workers[1].is_alive())

    alive = []
    options = {f'{loader}_dataloader.{name}': value for loader in ('train', 'val')
               for name, value in (('num_workers', 1), ('persistent_workers', True))}
    record = train(hooks=[Kill()], **options)
    assert alive == [True, True, False]
    assert max(record.losses) == 7


@pytest.mark.parametrize(('options', 'words'), [
    ({}, 'INFO - 1 processes x 4 samples x 1 accumulated batches = 4 samples per step; learning '
     'rate 0.001, for 4 samples'),
    ({'optim_wrapper.accumulative_counts': 2}, 'WARNING - 1 processes x 4 samples x 2 accumulated '
     'batches = 8 samples per step; learning rate 0.001, for 4 samples (auto_scale_lr.base_batch_'
     'size). Use --auto-scale-lr, which multiplies the rate by 2, or train_dataloader.batch_size=2'
     ' for 4 samples. If the rate is chosen for 8 samples, set auto_scale_lr.base_batch_size=8'),
    ({'train_dataloader.batch_size': 8, 'auto_scale_lr.enable': True},
     '= 8 samples per step; learning rate 0.002, for 8 samples')])
def test_training_says_what_a_step_amounts_to(train, options, words):
    record = train(**{'train_cfg.max_epochs': 1, 'auto_scale_lr.base_batch_size': 4}, **options)
    log, = Path(record.runner.log_dir).glob('*.log')
    assert words in log.read_text()


def test_training_says_that_six_processes_need_another_rate(train, monkeypatch):
    """As in ``dist_train.sh CONFIG 6``."""
    monkeypatch.setattr(train_loop, 'get_world_size', lambda: 6)
    record = train(**{'train_cfg.max_epochs': 1, 'auto_scale_lr.base_batch_size': 4})
    log, = Path(record.runner.log_dir).glob('*.log')
    assert 'WARNING - 6 processes x 4 samples x 1 accumulated batches = 24' in log.read_text()
    assert 'multiplies the rate by 6. If' in log.read_text()  # 4 clips cannot be shared by 6
