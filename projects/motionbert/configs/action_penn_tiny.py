# Actions of Penn Action (official split, 15 classes) at tiny size: fine-tuning of
# pretrain_tiny.py. Data, batch size and epochs are those of configs/dt1_penn_tiny.py.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/datasets/action_tiny.py',
    '_base_/schedules/action.py'
]
custom_imports = dict(imports=['projects.motionbert'])
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        type='DSTformerBackbone',
        embed_dims=64,
        rep_dims=64,
        depth=2,
        num_heads=2,
        max_frames=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert_pretrain_tiny/epoch_60.pth',
            prefix='backbone.')),
    cls_head=dict(
        type='MotionBERTClsHead', num_classes=15, in_channels=64, hidden_channels=256,
        dropout=0.5),
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
train_dataloader = dict(dataset=dict(**data, split='train'))
val_dataloader = dict(dataset=dict(**data, split='test'))
test_dataloader = val_dataloader
# in 16 epochs the rates fall as far as in the 300 of the released config; the backbone starts at
# ten times its rate there
optim_wrapper = dict(paramwise_cfg=None)
param_scheduler = [dict(type='ExponentialLR', gamma=0.83)]
train_cfg = dict(max_epochs=16, val_interval=4)
