"""JSON file of test metrics."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor

from mofm.engine.hooks import MetricLoggerHook


def test_metrics_of_a_test_are_valid_json_with_integers(tmp_path):
    metrics = dict(used=np.int64(7), plain=3, top1=0.5, empty=float('nan'), far=-np.inf,
                   table=dict(a=[1, np.float32(np.nan)]), tensor=torch.tensor([1., np.inf]),
                   array=np.array([[1, 2]]), name='x', other=object())
    processor = SimpleNamespace(get_log_after_epoch=lambda *_, **__: (metrics, ''))
    runner = SimpleNamespace(log_processor=processor, test_dataloader=[], log_dir=str(tmp_path),
                             logger=logging.getLogger('none'))
    hook = MetricLoggerHook()
    hook.json_log_path = 'metrics.json'
    hook.after_test_epoch(runner)
    text = (tmp_path / 'metrics.json').read_text()
    found = json.loads(text, parse_constant=lambda name: f'not JSON: {name}')
    assert found == dict(used=7, plain=3, top1=.5, empty=None, far=None, table=dict(a=[1, None]),
                         tensor=[1, None], array=[[1, 2]], name='x', other=None)


def test_metrics_of_mmengine_reach_the_hook_as_numbers():
    """MMEngine keeps metrics as arrays, so integers become those of NumPy."""
    hub = MessageHub.get_instance('metric_logger_hook')
    hub.update_scalar('test/tokens_used', 5)
    hub.update_scalar('test/top1', 0.5)
    runner = SimpleNamespace(message_hub=hub, test_dataloader=[], test_loop=None)
    tag = LogProcessor()._collect_non_scalars(runner, 'test') | {
        name.removeprefix('test/'): buffer.current()
        for name, buffer in hub.log_scalars.items()}
    assert MetricLoggerHook._process_tags(tag) == dict(tokens_used=5, top1=.5)
