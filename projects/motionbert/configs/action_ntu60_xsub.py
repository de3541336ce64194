# Actions of NTU-60, X-Sub: fine-tuning with the recipe of the released config. Paper: 93.0 top-1.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/datasets/action.py',
    '_base_/schedules/action.py'
]
custom_imports = dict(imports=['projects.motionbert'])
data = dict(ann_file='data/ntu60_hrnet.pkl', num_classes=60, class_names='ntu60')
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        type='DSTformerBackbone',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert_pretrain/epoch_90.pth',
            prefix='backbone.')),
    cls_head=dict(type='MotionBERTClsHead', num_classes=60, dropout=0.5),
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
train_dataloader = dict(dataset=dict(**data, split='xsub_train'))
val_dataloader = dict(dataset=dict(**data, split='xsub_val'))
test_dataloader = val_dataloader
