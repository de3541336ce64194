# AdamW, learning rates 1e-4 (backbone) and 1e-3 (head) decay by 1 % per epoch.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, fused=True),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = [dict(type='ExponentialLR', gamma=0.99)]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=300, val_interval=1)
val_cfg = dict()
test_cfg = dict()
