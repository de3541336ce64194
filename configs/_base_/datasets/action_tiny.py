# action.py with weaker augmentation and larger batches, for tiny models.
_base_ = 'action.py'
train_pipeline = [
    dict(type='TemporalCrop', ratio=(0.9, 1.0)),
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.9, 1.1), shift=0.04, rotation=6),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    batch_size=32, num_workers=1, pin_memory=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, num_workers=1)
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=32)
