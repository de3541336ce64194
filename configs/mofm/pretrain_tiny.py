# Masked pre-training at tiny size on the training clips of Penn Action.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/tiny.py',
    '../_base_/models/pretrainer_tiny.py', '../_base_/datasets/masked_motion_tiny.py',
    '../_base_/schedules/adamw_cosine.py'
]
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=60, val_interval='${train_cfg.max_epochs}')
schedule = dict(warmup=4)
