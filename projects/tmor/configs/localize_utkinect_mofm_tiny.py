# UTKinect untrimmed with MoFM at tiny size, whose features have no time axis: a window of 16
# frames has one prediction, and windows every 4 frames are averaged.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '../../../configs/_base_/grids/tiny.py',
    '../../../configs/_base_/models/recognizer_tiny.py', '_base_/datasets/untrimmed_16.py',
    '_base_/schedules/localize_16.py'
]
custom_imports = dict(imports=['projects.tmor'])
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.9, 1.1), shift=0.04, rotation=6),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs', meta_keys=_base_.meta_keys)
]
model = dict(
    _delete_=True,
    type='MotionDetector',
    backbone=_base_.model.backbone,
    head=dict(
        type='FrameHead', in_channels='${model.backbone.embed_dims}', num_classes=10),
    data_preprocessor=_base_.model.data_preprocessor)
train_dataloader = dict(dataset=dict(to_layout='coco17', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(to_layout='coco17', pipeline=val_pipeline))
test_dataloader = val_dataloader
