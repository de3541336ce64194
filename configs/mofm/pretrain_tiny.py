# Masked pre-training at tiny size on the training clips of Penn Action.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/models/dved_tiny.py',
    '../_base_/models/mofm_tiny.py', '../_base_/datasets/masked_motion_tiny.py',
    '../_base_/schedules/adamw_cosine.py'
]
model = dict(
    type='MotionPretrainer',
    backbone=_base_.backbone,
    tokenizer=dict(
        **_base_.tokenizer,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/mofm/dved_teacher_tiny/epoch_16.pth')),
    head=dict(type='MaskedTokenHead', vocab_size=512, in_channels=128),
    data_preprocessor=_base_.data_preprocessor)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.05), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=60, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=4, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, begin=4, end=60, convert_to_iter_based=True)
]
val_evaluator = dict(type='MaskedTokenMetric')
test_evaluator = val_evaluator
