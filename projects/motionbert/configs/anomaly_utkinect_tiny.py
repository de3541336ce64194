# Abnormal motion on UTKinect, supervised: data, loss and schedule are those of
# configs/dt4_utkinect_tiny.py.
_base_ = '../../../configs/dt4_utkinect_tiny.py'
custom_imports = dict(imports=['projects.motionbert'])
model = dict(
    backbone=dict(
        _delete_=True,
        type='DSTformerBackbone',
        embed_dims=64,
        rep_dims=64,
        depth=2,
        num_heads=8,
        max_frames=16,
        init_std=0.125,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert/pretrain_dstformer_tiny/epoch_60.pth',
            prefix='backbone.')),
    cls_head=dict(in_channels=64),
    data_preprocessor=dict(_delete_=True, type='SkeletonDataPreprocessor'))
train_pipeline = [
    dict(type='PersonTracking', fix_conf_order=True),
    dict(type='NormalizeByLongSide'),
    dict(type='RandomMove', angle=0, scale=(0.9, 1.1), shift=0),
    dict(type='CropScale', scale_range=(1, 1.4)),
    dict(type='ZeroMissing'),
    dict(type='PackLiftingInputs')
]
val_pipeline = [
    dict(type='PersonTracking', fix_conf_order=True),
    dict(type='NormalizeByLongSide'),
    dict(type='CropScale', scale_range=(1.2, 1.2)),
    dict(type='ZeroMissing'),
    dict(type='PackLiftingInputs')
]
train_dataloader = dict(dataset=dict(to_layout='h36m17', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(to_layout='h36m17', pipeline=val_pipeline))
test_dataloader = val_dataloader
