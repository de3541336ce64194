# Abnormal motion on UTKinect, supervised: data, loss and schedule are those of
# configs/dt4_utkinect_tiny.py.
_base_ = '../../../configs/dt4_utkinect_tiny.py'
custom_imports = dict(imports=['projects.tmor'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='UNIKBackbone',
        num_persons=1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth',
            prefix='backbone.')),
    cls_head=dict(in_channels=256),
    data_preprocessor=dict(_delete_=True, type='SkeletonDataPreprocessor'))
train_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='SkeletonMove', angles=(0, ), shifts=(0, )),
    dict(type='SkeletonFlip', prob=0.5),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='PackSkeleton')
]
train_dataloader = dict(dataset=dict(to_layout='unik17', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(to_layout='unik17', pipeline=val_pipeline))
test_dataloader = val_dataloader
