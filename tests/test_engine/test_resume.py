"""Resumption with other settings: each takes effect as in a training that always had it."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mofm.engine.runner.resume import ResumeHook
from mofm.utils.config import compare_settings
from tests.test_engine.conftest import load, same_training

pytestmark = pytest.mark.slow
LR = 'optim_wrapper.optimizer.lr'
EPOCHS = 'train_cfg.max_epochs'


def schedule(epochs):
    """Warm-up of an epoch, then a cosine, per iteration."""
    return [dict(type='LinearLR', start_factor=0.1, end=1, convert_to_iter_based=True),
            dict(type='CosineAnnealingLR', eta_min=1e-6, begin=1, end=epochs,
                 convert_to_iter_based=True)]


class Switch(Hook):
    """Changes groups of the optimizer in the middle of a training, without a break."""

    priority = 'VERY_HIGH'

    def __init__(self, start, rates=None, **settings):
        self.start, self.rates, self.settings = start, rates, settings

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter >= self.start:
            groups = runner.optim_wrapper.optimizer.param_groups
            for group, rate in zip(groups, self.rates[runner.iter], strict=True):
                group['lr'] = rate
                for name, value in self.settings.items():
                    if name != 'weight_decay' or group[name]:
                        group[name] = value


class Scores(Hook):
    """Given scores of the validations after each epoch."""

    priority = 'HIGHEST'

    def __init__(self, *scores):
        self.scores = scores

    def after_val_epoch(self, runner, metrics=None):
        metrics['score'] = self.scores[runner.epoch - 1]


@pytest.fixture
def text(monkeypatch, train):
    """Checkpoints with the text of the config, which MMEngine takes seconds to format."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda config: '\n'.join(
        f'{name} = {value!r}' for name, value in config.to_dict().items())))


@pytest.fixture
def log():
    """Text of the log of a training."""
    def read(record):
        path, = Path(record.runner.log_dir).glob('*.log')
        return path.read_text()
    return read


def after(rates, start):
    return {iteration: values for iteration, values in rates.items() if iteration >= start}


def test_resume_with_more_epochs_follows_the_longer_schedule(train, text, log):
    """Two of two epochs, then four more: rates of a run of six; losses with those rates."""
    fresh = train('fresh', **{EPOCHS: 6, 'param_scheduler': schedule(6)})
    short = {EPOCHS: 2, 'param_scheduler': schedule(2)}
    train(**short)
    resumed = train(resume='epoch_2.pth', **{EPOCHS: 6, 'param_scheduler': schedule(6)})
    assert resumed.rates == after(fresh.rates, 12)
    assert 'train_cfg.max_epochs: 2 -> 6' in log(resumed)
    assert 'param_scheduler.1.end: 2 -> 6' in log(resumed)
    assert 'Schedules computed anew for iteration 12' in log(resumed)
    # the rate of all epochs after the second is zero in the short schedule, so replace it
    switched = train('switched', hooks=[Switch(12, fresh.rates)],
                     **{EPOCHS: 6, 'param_scheduler': schedule(2)})
    assert resumed.losses == after(switched.losses, 12)


@pytest.mark.parametrize('by_epoch', [False, True])
def test_resume_with_other_rate_and_decay_uses_them(train, by_epoch):
    """In the middle of an epoch, in schedules per iteration and per epoch."""
    steps = [dict(type='MultiStepLR', milestones=[1, 2], gamma=0.1, by_epoch=True)]
    options = {'param_scheduler': steps if by_epoch else schedule(3)}
    settings = {LR: 3e-3, 'optim_wrapper.optimizer.weight_decay': 0.2,
                'optim_wrapper.optimizer.betas': (0.8, 0.9)}
    fresh = train('fresh', **options, **settings)
    train(stop=8, **options)
    resumed = train(resume='preempted.pth', **options, **settings)
    assert resumed.rates == after(fresh.rates, 9)
    unbroken = train('unbroken', **options,
                     hooks=[Switch(9, fresh.rates, weight_decay=0.2, betas=(0.8, 0.9))])
    assert resumed.losses == after(unbroken.losses, 9)
    same_training(*(load(train.folder / folder / 'epoch_3.pth')['state_dict']
                    for folder in ('run', 'unbroken')))


def test_resume_with_decay_alone_keeps_the_schedule(train, log):
    decay = {'optim_wrapper.optimizer.weight_decay': 0.2}
    train(stop=8)
    resumed = train(resume='preempted.pth', **decay)
    unbroken = train('unbroken')
    assert resumed.rates == after(unbroken.rates, 9)
    groups = resumed.runner.optim_wrapper.optimizer.param_groups
    assert {group['weight_decay'] for group in groups} == {0, 0.2}
    assert 'Schedules computed anew' not in log(resumed)


def test_resume_with_other_batch_size_keeps_the_place_in_epochs(train):
    """From epoch 2 on, the rates of a training with the other batch size from the start."""
    options = {'param_scheduler': schedule(3)}
    other = {'train_dataloader.batch_size': 2, **options}
    fresh = train('fresh', **other)
    for stop, name in ((None, 'epoch_1.pth'), (8, 'preempted.pth')):
        train(stop=stop, **options, **{'default_hooks.checkpoint.max_keep_ckpts': -1})
        resumed = train(resume=name, **other)
        assert resumed.rates == after(fresh.rates, 11)
        assert resumed.clips == after(fresh.clips, 11)


def test_resume_with_other_grouping_keeps_moments_by_name(train):
    """Layer decay on, at the start of epoch 3: other groups, in another order."""
    decay = {'optim_wrapper.paramwise_cfg': dict(layer_decay=0.5)}
    fresh = train('fresh', **decay)
    first = train(stop=11, **{'optim_wrapper.constructor': 'DefaultOptimWrapperConstructor'})
    moments = {name: first.runner.optim_wrapper.optimizer.state[parameter]['exp_avg']
               for name, parameter in first.runner.model.named_parameters()
               if parameter.requires_grad}

    class Moments(Hook):
        def before_train_epoch(self, runner):
            for name, parameter in runner.model.named_parameters():
                state = runner.optim_wrapper.optimizer.state[parameter]
                if runner.epoch == 1:
                    assert torch.equal(state['exp_avg'], moments[name]), name

    resumed = train(resume='preempted.pth', hooks=[Moments()], **decay)
    assert resumed.rates == after(fresh.rates, 12)
    assert len(set(resumed.rates[12])) > 2


def test_resume_applies_settings_of_the_wrapper(train):
    train(stop=8)
    resumed = train(resume='preempted.pth', **{
        'optim_wrapper.clip_grad.max_norm': 1e-3, 'optim_wrapper.accumulative_counts': 3,
        'randomness.seed': 5})
    wrapper = resumed.runner.optim_wrapper
    assert wrapper.clip_grad_kwargs == dict(max_norm=1e-3)
    assert wrapper._accumulative_counts == 3
    assert resumed.runner.seed == 5
    assert resumed.clips != after(train('unbroken').clips, 9)


@pytest.mark.parametrize(('options', 'message'), [
    ({'optim_wrapper.optimizer': dict(type='SGD', lr=1e-3, momentum=0.9, _delete_=True)},
     r'another optimizer[^$]*optim_wrapper.optimizer.type: .AdamW. -> .SGD.'),
    ({'optim_wrapper.optimizer.amsgrad': True}, r'another optimizer[^$]*amsgrad: not set -> True'),
    ({'model.backbone.depth': 3}, r'does not fit[^$]*model.backbone.depth: 2 -> 3'),
    ({'model.backbone.depth': 1}, r'other parameters[^$]*model.backbone.depth: 2 -> 1')])
def test_resume_that_is_impossible_names_the_settings(train, text, options, message):
    train(stop=2, **{EPOCHS: 1})
    with pytest.raises(ValueError, match=message):
        train(resume='preempted.pth', **{EPOCHS: 1}, **options)


def test_resume_names_a_state_of_another_shape(train, text):
    """The optimizer would fail in the first iteration, without the name."""
    train(stop=2, **{EPOCHS: 1})
    path = train.folder / 'run/preempted.pth'
    checkpoint = load(path)
    checkpoint['optimizer']['state'][0]['exp_avg'] = torch.zeros(3)
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r'preempted.pth: optimizer.state.\S+.exp_avg: found the '
                       r'shape torch.Size\(\[3\]\), expected'):
        train(resume='preempted.pth', **{EPOCHS: 1})


PLATEAU = dict(type='ReduceOnPlateauLR', monitor='score', rule='greater', patience=0, factor=0.5)


def test_resume_keeps_a_schedule_of_validations(train, text):
    """It cannot be computed anew: a longer training is possible, another rate is not."""
    scores = Scores(.5, .4, .3, .6)
    options = {'param_scheduler': [PLATEAU]}
    unbroken = train('unbroken', hooks=[scores], **options, **{EPOCHS: 4})
    train(hooks=[scores], **options, **{EPOCHS: 3})
    resumed = train(resume='epoch_3.pth', hooks=[scores], **options, **{EPOCHS: 4})
    assert resumed.rates == after(unbroken.rates, 18)
    assert len({rates[0] for rates in unbroken.rates.values()}) == 3
    with pytest.raises(ValueError, match=r'depends on past validations[^$]*lr: 0.001 -> 0.01'):
        train(resume='epoch_3.pth', hooks=[scores], **options, **{EPOCHS: 4, LR: 0.01})


def test_resume_with_nothing_left_to_train_says_so(train, log):
    train(**{EPOCHS: 2})
    resumed = train(resume='epoch_2.pth', **{EPOCHS: 1})
    assert not resumed.losses
    assert 'found 1, expected more than the 2 epochs of the checkpoint' in log(resumed)


def test_resume_of_a_position_without_end_does_not_replay_it(train, text):
    train(stop=8)
    path = train.folder / 'run/preempted.pth'
    checkpoint = load(path)
    checkpoint['meta'].update(iter=10**12)
    torch.save(checkpoint, path)
    train(resume='preempted.pth', **{LR: 3e-3})


def test_resume_logs_no_difference_for_the_same_settings(train, text, log):
    train(stop=2, **{EPOCHS: 1})
    resumed = train(resume='preempted.pth', **{EPOCHS: 1})
    assert 'that differ' not in log(resumed)
    assert 'computed anew' not in log(resumed)


STOPPING = dict(type='mmengine.EarlyStoppingHook', monitor='score', rule='greater', min_delta=0,
                patience=3)


def test_resume_keeps_patience_of_early_stopping(train):
    """Stopped after epoch 5, with or without breaks, which come before the validation."""
    hooks = [dict(type='PreemptionHook'), STOPPING]
    options = {EPOCHS: 8, 'custom_hooks': hooks}
    scores = Scores(.5, .9, .6, .6, .6, .6, .6, .6)
    unbroken = train('unbroken', hooks=[scores], **options)
    assert unbroken.validations == [1, 2, 3, 4, 5]
    train(hooks=[scores], stop=26, **options)  # in epoch 5
    resumed = train(resume='preempted.pth', hooks=[scores], **options)
    assert resumed.validations == [5]
    resumed = train(resume='epoch_4.pth', hooks=[scores], **options)
    assert resumed.validations == [4, 5]
    assert train(resume='epoch_5.pth', hooks=[scores], **options).validations == [5]
    other = [dict(type='PreemptionHook'), dict(STOPPING, patience=4)]
    resumed = train(resume='epoch_5.pth', hooks=[scores], **dict(options, custom_hooks=other))
    assert resumed.validations == [5, 6]


def test_resume_keeps_the_best_score(train):
    """The validation of the last checkpoint is repeated, so the best one is not forgotten."""
    options = {'default_hooks.checkpoint.save_best': 'score',
               'default_hooks.checkpoint.rule': 'greater'}
    train(hooks=[Scores(.5, .9)], **options, **{EPOCHS: 2})
    assert (train.folder / 'run/best_score_epoch_2.pth').exists()
    train(resume='epoch_2.pth', hooks=[Scores(.5, .9, .6)], **options)
    assert [p.name for p in (train.folder / 'run').glob('best*')] == ['best_score_epoch_2.pth']


def test_resume_with_another_metric_forgets_the_best_score(train, text):
    best = 'default_hooks.checkpoint.save_best'
    rule = {'default_hooks.checkpoint.rule': 'greater'}
    train(hooks=[Scores(1.5, 1.9)], **rule, **{EPOCHS: 2, best: 'score'})
    train(resume='epoch_2.pth', **rule, **{best: 'masked/acc'})  # at most 1
    assert list((train.folder / 'run').glob('best_masked_acc_epoch_*.pth'))


def test_resume_validates_with_the_same_random_numbers(train):
    """Masks of the validation are random, and early stopping and the best score depend on them."""
    class Masks(Hook):
        def __init__(self):
            self.masks = {}

        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            masks = torch.stack(list(data_batch['inputs']['mask']))
            self.masks[runner.epoch, batch_idx] = masks.tolist()

    options = {EPOCHS: 2, 'val_dataloader.dataset.num_clips': 12}
    unbroken, resumed = Masks(), Masks()
    train('unbroken', hooks=[unbroken], **options)
    assert unbroken.masks[1, 0] != unbroken.masks[2, 0]
    train(stop=4, **options)
    train(resume='preempted.pth', hooks=[resumed], **options, **{'val_dataloader.num_workers': 1})
    assert resumed.masks == unbroken.masks
    resumed = Masks()
    train(resume='epoch_1.pth', hooks=[resumed], **options)
    assert resumed.masks == unbroken.masks


def test_resume_without_averaging_trains_the_weights(train):
    """Not their averages, which a checkpoint has as its weights."""
    average = dict(type='EMAHook', momentum=0.1)
    hooks = [dict(type='PreemptionHook')]
    unbroken = train('unbroken', custom_hooks=hooks, **{EPOCHS: 1})
    train(stop=3, custom_hooks=[*hooks, average], **{EPOCHS: 1})
    resumed = train(resume='preempted.pth', custom_hooks=hooks, **{EPOCHS: 1})
    assert resumed.losses == after(unbroken.losses, 4)


def test_resume_with_average_of_other_momentum_uses_it(train):
    hooks = [dict(type='PreemptionHook'), dict(type='EMAHook', momentum=0.1)]
    train(stop=3, custom_hooks=hooks, **{EPOCHS: 1})
    hooks[1]['momentum'] = 1 - 1e-6
    train(resume='preempted.pth', custom_hooks=hooks, **{EPOCHS: 1})
    saved = load(train.folder / 'run/epoch_1.pth')
    for name, weight in saved['state_dict'].items():
        assert torch.allclose(saved['ema_state_dict'][f'module.{name}'], weight, atol=1e-5)


def test_resume_restores_hooks_with_state(train):
    class Counter(Hook):
        count = 0

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.count += 1

        def state_dict(self):
            return dict(count=self.count)

        def load_state_dict(self, state):
            self.count = state['count']

    train(stop=3, hooks=[Counter(), Counter()], **{EPOCHS: 1})
    counters = Counter(), Counter()
    train(resume='preempted.pth', hooks=counters, **{EPOCHS: 1})
    saved = load(train.folder / 'run/epoch_1.pth')['resume']['hooks']
    assert saved == {'Counter': dict(count=6), 'Counter 2': dict(count=6)}
    assert [counter.count for counter in counters] == [6, 6]


def test_compare_settings_names_nested_values():
    old = "a = dict(b=1, c=[dict(d='x'), dict(e=2)])\nwork_dir = 'one'\nf = [1, 2]\n"
    new = "a = dict(b=2, c=[dict(d='x')])\nwork_dir = 'two'\nf = [1, 3]\ng = {'h i': 0}\n"
    assert compare_settings(old, new) == {
        'a.b': ('1', '2'), 'a.c.1.e': ('2', 'not set'), 'f': ('[1, 2]', '[1, 3]'),
        'g.h i': ('not set', '0')}
    assert compare_settings(old, old) == {}
    for other in ('', None, 'not a config(', 'a = ' + '[' * 10000, b'\0'):
        assert compare_settings(other, new) == {}


def test_resume_hook_is_registered_by_the_loop(train):
    record = train(**{EPOCHS: 1})
    assert sum(isinstance(hook, ResumeHook) for hook in record.runner.hooks) == 1
    assert not re.search('ResumeHook', str(record.runner.cfg))
