# UTKinect untrimmed with MotionBERT at tiny size.
_base_ = [
    '../../../configs/_base_/default_runtime.py',
    '../../motionbert/configs/_base_/models/recognizer_tiny.py', '_base_/datasets/untrimmed_16.py',
    '_base_/schedules/localize_16.py'
]
custom_imports = dict(imports=['projects.tmor', 'projects.motionbert'])
train_pipeline = [
    dict(type='PersonTracking', fix_conf_order=True),
    dict(type='NormalizeByLongSide'),
    dict(type='PadPersons', num_persons=1),
    dict(type='RandomMove', angle=10, scale=(0.9, 1.1), shift=0.1),
    dict(type='CropScale', scale_range=(1, 1.4)),
    dict(type='ZeroMissing'),
    dict(type='PackLiftingInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='PersonTracking', fix_conf_order=True),
    dict(type='NormalizeByLongSide'),
    dict(type='PadPersons', num_persons=1),
    dict(type='CropScale', scale_range=(1.2, 1.2)),
    dict(type='ZeroMissing'),
    dict(type='PackLiftingInputs', meta_keys=_base_.meta_keys)
]
model = dict(
    _delete_=True,
    type='MotionDetector',
    backbone=_base_.model.backbone,
    head=dict(type='FrameHead', in_channels=17 * 64, num_classes=10),
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
train_dataloader = dict(dataset=dict(to_layout='h36m17', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(to_layout='h36m17', pipeline=val_pipeline))
test_dataloader = val_dataloader
