"""Shared config that trains in seconds."""

import pytest

from tests.test_tools.tool_runner import ROOT

# 15 test clips: two processes get 8 each, one of them twice. Nothing is random in training.
CONFIG = f"""
_base_ = {str(ROOT / 'configs/dt1_penn_tiny.py')!r}
data = dict(_delete_=True, type='SyntheticMotion', actions=('walk', 'wave', 'squat'),
            num_frames=(16, 20), pipeline=_base_.val_pipeline)
model = dict(
    backbone=dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None),
    cls_head=dict(num_classes=3, in_channels=32, dropout=0.))
loader = dict(batch_size=4, num_workers=0)
train_dataloader = dict(**loader, dataset=dict(**data, num_clips=32, seed=0))
val_dataloader = dict(**loader, dataset=dict(**data, num_clips=15, seed=1, test_mode=True))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2, val_interval=100)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, end=4, convert_to_iter_based=True)]
"""


@pytest.fixture(scope='session')
def config(tmp_path_factory):
    """A DT1 config that trains an epoch in a second."""
    path = tmp_path_factory.mktemp('tools') / 'dt1.py'
    path.write_text(CONFIG)
    return path
