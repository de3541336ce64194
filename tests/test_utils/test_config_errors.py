"""Mistakes in a config are one line that names the setting."""

from types import SimpleNamespace

import pytest
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.optim import build_optim_wrapper
from torch import nn
from torch.utils.data import DataLoader

from mofm.engine.hooks import EarlyStoppingHook
from mofm.registry import MODELS, OPTIMIZERS, PARAM_SCHEDULERS
from mofm.utils.config_errors import explain_config_error

HEAD = dict(type='ActionClsHead', num_classes=3, in_channels=8)


def explain(function, config):
    with pytest.raises((KeyError, TypeError, ValueError)) as caught:
        function()
    return explain_config_error(caught.value, config)


@pytest.mark.parametrize(('registry', 'part', 'message'), [
    (MODELS, dict(HEAD, drop_out=0.5),
     'a.1.drop_out: ActionClsHead has no such setting; did you mean dropout?'),
    (MODELS, dict(HEAD, type='ActionClsHeed'),
     'a.1.type: found ActionClsHeed, expected a registered model; did you mean ActionClsHead?'),
    (MODELS, dict(HEAD, num_classes=1), 'num_classes: found 1, expected at least 2'),
    (OPTIMIZERS, dict(type='SGD', lr=-1.), 'a.1: SGD: Invalid learning rate: -1.0')])
def test_mistake_in_a_part_names_the_setting(registry, part, message):
    given = dict(params=nn.Linear(1, 1).parameters()) if registry is OPTIMIZERS else {}
    assert explain(lambda: registry.build(part | given), dict(a=[dict(), part])) == message


def test_mistake_in_a_function_names_the_setting():
    data = dict(batchsize=2)
    assert explain(lambda: DataLoader([], **data), dict(train_dataloader=data)) == (
        'train_dataloader.batchsize: DataLoader has no such setting; did you mean batch_size?')


@pytest.mark.parametrize(('kind', 'name', 'message'), [
    ('optimizer', 'AdmW', 'optim_wrapper.optimizer.type: found AdmW, expected a registered '
     'optimizer; did you mean AdamW?'),
    ('scheduler', 'CosineAnealingLR', 'param_scheduler.0.type: found CosineAnealingLR, expected a '
     'registered parameter scheduler; did you mean CosineAnnealingLR?')])
def test_unknown_optimizer_and_scheduler_name_the_setting(kind, name, message):
    optimizer = dict(type='SGD', lr=.1) | (dict(type=name) if kind == 'optimizer' else {})
    config = dict(optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer),
                  param_scheduler=[dict(type=name if kind == 'scheduler' else 'StepLR')])

    def build():
        wrapper = build_optim_wrapper(nn.Linear(1, 1), config['optim_wrapper'])
        PARAM_SCHEDULERS.build(config['param_scheduler'][0], default_args=dict(optimizer=wrapper))

    assert explain(build, config) == message


def test_missing_metric_names_those_that_exist():
    def best():
        hook = CheckpointHook(save_best='acc/topp1', rule='greater')
        hook._save_best_checkpoint(SimpleNamespace(epoch=1, iter=1), {'acc/top1': 1})

    hook = EarlyStoppingHook(monitor='acc/topp1')
    for function in (best, lambda: hook.after_val_epoch(None, {'acc/top1': 1})):
        message = explain(function, {})
        assert "found no metric 'acc/topp1', expected one of acc/top1" in message


def test_error_that_is_no_mistake_of_a_config_keeps_its_traceback():
    assert explain(lambda: int('x'), {}) is None
    assert explain(lambda: {}['x'], dict(type='x')) is None
    assert explain(lambda: DefaultSampler([], shufle=True), dict(shuffle=True)) is None
