# UTKinect untrimmed with MoFM at tiny size, whose features have no axis of time: a window of 16
# frames has one answer, and windows every 4 frames are averaged.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '../../../configs/_base_/models/mofm_tiny.py',
    '_base_/datasets/untrimmed_16.py', '_base_/schedules/detection_16.py'
]
custom_imports = dict(imports=['projects.tmor'])
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len=16, test_mode=True),  # all 16, in order
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.9, 1.1), shift=0.04, rotation=6),
    dict(type='PoseFlip', prob=0.5),
    dict(type='ThermalCubeFormat', num_frames=16, canvas=36, patch=4),
    dict(type='PackMotionInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len=16, test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='ThermalCubeFormat', num_frames=16, canvas=36, patch=4),
    dict(type='PackMotionInputs', meta_keys=_base_.meta_keys)
]
model = dict(
    type='MotionDetector',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_tiny/epoch_60.pth',
            prefix='backbone.')),
    head=dict(type='FrameHead', in_channels=128, num_classes=10),
    data_preprocessor=dict(
        type='MotionDataPreprocessor', num_frames=16, canvas=36, patch=4, sigma=0.6))
train_dataloader = dict(dataset=dict(to_layout='coco17', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(to_layout='coco17', pipeline=val_pipeline))
test_dataloader = val_dataloader
