# UTKinect untrimmed with the keypoint-aligned features of pretrain_v2_tiny.py, which have a time
# axis: windows of 64 frames are four clips of 16, each in a box of its own, and SD-TCN looks
# across them.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '../../../configs/_base_/grids/tiny.py',
    '../../../configs/_base_/models/recognizer_tiny.py', '_base_/datasets/untrimmed_tiny.py',
    '_base_/schedules/localize_16.py'
]
custom_imports = dict(imports=['projects.tmor'])
grid = dict(segments=2)
clips = [
    dict(type='UniformSampleFrames', clip_len=64, test_mode=True),
    dict(type='ConsecutiveClips', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25, per_clip=True)
]
cubes = [
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs', meta_keys=_base_.meta_keys)
]
train_pipeline = [
    *clips,
    dict(
        type='PoseAffine', scale=(0.9, 1.1), shift=0.04, rotation=6, stretch=0.2, shear=0.2),
    dict(type='PoseFlip', prob=0.5), *cubes
]
val_pipeline = [*clips, *cubes]
model = dict(
    _delete_=True,
    type='MotionDetector',
    backbone=dict(
        _base_.model.backbone,
        segments='${grid.segments}',
        align=dict(blocks=(2, 4), parts=16),
        init_cfg=dict(
            _base_.model.backbone.init_cfg,
            checkpoint='work_dirs/mofm/pretrain_v2_tiny/epoch_75.pth')),
    # joints, blocks, width
    head=dict(type='SDTCNHead', in_channels=17 * 2 * 128, hidden_channels=128, num_classes=10),
    data_preprocessor=_base_.model.data_preprocessor)
train_dataloader = dict(
    batch_size=8, dataset=dict(stride=16, to_layout='coco17', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32, dataset=dict(stride=16, to_layout='coco17', pipeline=val_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=5e-4))
auto_scale_lr = dict(base_batch_size=8)
