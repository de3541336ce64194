# DT1, Penn Action (official split, 15 classes) at tiny size: fine-tuning of pretrain_tiny.py.
_base_ = [
    '_base_/default_runtime.py', '_base_/models/mofm_tiny.py', '_base_/datasets/action_tiny.py',
    '_base_/schedules/adamw_cosine.py'
]
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_tiny/epoch_60.pth',
            prefix='backbone.')),
    cls_head=dict(
        type='ActionClsHead', num_classes=15, in_channels=128, dropout=0.4, label_smooth=0.1),
    data_preprocessor=_base_.data_preprocessor)
train_dataloader = dict(batch_size=16, dataset=dict(**data, split='train'))
val_dataloader = dict(dataset=dict(**data, split='test'))
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=1.),
    paramwise_cfg=dict(layer_decay=0.85))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=16, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, begin=2, end=16, convert_to_iter_based=True)
]
