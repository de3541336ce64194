# Zero-shot on Penn Action with UNIK after stage 1 on the motion corpus, which has clips of the
# unseen classes, without labels.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik.py',
    '_base_/datasets/skeleton_64.py', '_base_/zero_shot_penn.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(
    backbone=dict(
        num_persons=1,
        frozen=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth',
            prefix='backbone.')),
    cls_head=dict(_delete_=True, **_base_.zero_shot_head, in_channels=256))
train_dataloader = dict(
    batch_size=64, dataset=dict(**data, split='train', classes=_base_.seen))
val_dataloader = dict(
    dataset=dict(**data, split='test', classes=_base_.seen + _base_.unseen))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.zero_shot_evaluator)
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=64)
