# oneshot_ntu120.py without pre-training, same learning rates. Paper: 61.0 top-1.
_base_ = 'oneshot_ntu120.py'
model = dict(backbone=dict(init_cfg=None))
