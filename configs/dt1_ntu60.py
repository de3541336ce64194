# DT1, NTU-60 X-Sub: fine-tuning with the recipe of the paper, 16 epochs, batch 24, AdamW,
# linear 1e-8 to 1e-4 over 5 epochs, cosine back to 1e-8. Paper: 89.4 top-1.
# Linear probe: --cfg-options model.backbone.frozen=True
# From scratch: --cfg-options model.backbone.init_cfg=None
_base_ = [
    '_base_/default_runtime.py', '_base_/models/mofm_base.py', '_base_/datasets/action.py',
    '_base_/schedules/adamw_cosine.py'
]
data = dict(ann_file='data/ntu60_hrnet.pkl', num_classes=60, class_names='ntu60')
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain/epoch_20.pth',
            prefix='backbone.')),
    cls_head=dict(type='ActionClsHead', num_classes=60, in_channels=768, dropout=0.4),
    data_preprocessor=_base_.data_preprocessor)
train_dataloader = dict(dataset=dict(**data, split='xsub_train'))
val_dataloader = dict(dataset=dict(**data, split='xsub_val'))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-4, weight_decay=3e-4))
train_cfg = dict(max_epochs=16)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-8 / 1e-4, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-8, begin=5, end=16, convert_to_iter_based=True)
]
