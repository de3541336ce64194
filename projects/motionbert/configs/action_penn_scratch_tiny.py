# action_penn_tiny.py without pre-training.
_base_ = 'action_penn_tiny.py'
model = dict(backbone=dict(init_cfg=None))
