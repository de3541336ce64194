# action_ntu60_xview.py without pre-training, learning rate 1e-4. Paper: 93.4 top-1.
_base_ = 'action_ntu60_xview.py'
model = dict(backbone=dict(init_cfg=None))
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=None)
