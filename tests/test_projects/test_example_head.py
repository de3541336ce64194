"""Plug-in head: formula, and training through its config."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mofm.registry import MODELS
from mofm.structures import MotionFeatures
from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'projects/example_head/configs/attention_pool_penn_tiny.py'
SMALL = f"""
_base_ = {str(CONFIG)!r}
data = dict(_delete_=True, type='SyntheticMotion', actions=('walk', 'wave', 'squat'),
            num_frames=(16, 20), num_clips=24, pipeline=_base_.val_pipeline)
model = dict(
    backbone=dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None),
    cls_head=dict(num_classes=3, in_channels=32, dropout=0.))
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False, dataset=data)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = None
train_cfg = dict(max_epochs=8)
val_dataloader = None
val_cfg = None
val_evaluator = None
"""


@pytest.fixture
def head():
    load_config(CONFIG)  # imports the project
    torch.manual_seed(0)
    head = MODELS.build(dict(type='AttentionPoolHead', num_classes=5, in_channels=8, num_heads=2))
    torch.nn.init.normal_(head.query)  # for attention that is not uniform
    torch.nn.init.normal_(head.kv.weight)
    return head.eval()


def test_example_head_names_tokens_of_another_width(head):
    """As those of an aligned backbone, whose pooled features are wider."""
    features = MotionFeatures(torch.randn(3, 6, 4), torch.randn(3, 8),
                              torch.ones(3, 6, dtype=torch.bool))
    with pytest.raises(ValueError, match='in_channels: found 8, expected the width of tokens, 4'):
        head(features)


def test_example_head_scores_equal_formula(head):
    tokens, encoded = torch.randn(3, 6, 8), torch.rand(3, 6) < 0.6
    encoded[:, 0] = True
    expected = torch.zeros(3, 8)
    for b in range(3):
        keys, values = head.kv(tokens[b][encoded[b]]).chunk(2, -1)
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            weights = (keys[:, part] @ head.query[h, 0] / 4**0.5).softmax(0)
            expected[b, part] = weights @ values[:, part]
    scores = head(MotionFeatures(tokens, torch.zeros(3, 8), encoded))
    torch.testing.assert_close(scores, head.fc(expected), rtol=1e-4, atol=1e-5)


def test_example_head_needs_heads_that_divide_the_width(head):
    with pytest.raises(ValueError, match='found 8, expected a multiple of num_heads=3'):
        type(head)(5, 8, num_heads=3)


def test_example_head_trains_through_its_config(tmp_path):
    path = tmp_path / 'small.py'
    path.write_text(SMALL)
    cfg = load_config(path)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.default_hooks.logger.interval = 1
    runner = Runner.from_cfg(cfg)
    start = runner.model.cls_head.query.detach().clone()
    model = runner.train()
    assert type(model.cls_head).__name__ == 'AttentionPoolHead'
    assert not torch.equal(model.cls_head.query, start)
    log, = Path(cfg.work_dir).glob('*/vis_data/scalars.json')
    losses = [json.loads(line)['loss'] for line in log.read_text().splitlines()]
    assert len(losses) == 24
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
