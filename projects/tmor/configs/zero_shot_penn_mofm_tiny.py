# Zero-shot on Penn Action with MoFM at tiny size, pre-trained without the unseen classes.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '../../../configs/_base_/grids/tiny.py',
    '../../../configs/_base_/models/recognizer_tiny.py',
    '../../../configs/_base_/datasets/action_tiny.py', '_base_/zero_shot_penn.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(
    backbone=dict(
        frozen=True,
        init_cfg=dict(
            checkpoint='work_dirs/mofm/pretrain_auxiliary_classes_tiny/epoch_60.pth')),
    cls_head=dict(
        _delete_=True, **_base_.zero_shot_head, in_channels='${model.backbone.embed_dims}'))
train_dataloader = dict(
    batch_size=64, dataset=dict(**data, split='train', classes=_base_.seen))
val_dataloader = dict(
    dataset=dict(**data, split='test', classes=_base_.seen + _base_.unseen))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.zero_shot_evaluator)
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=64)
