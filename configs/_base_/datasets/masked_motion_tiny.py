# motion_tiny.py with masks, for the pre-training.
_base_ = 'motion_tiny.py'
train_pipeline = [
    dict(type='TemporalCrop', ratio=(0.7, 1.0)),
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.8, 1.1), shift=0.06, rotation=15),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(
        type='KeypointMaskGenerator', min_masked=9, max_masked=20, unit='blocks',
        num_frames='${grid.num_frames}', canvas='${grid.canvas}', patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(
        type='KeypointMaskGenerator', min_masked=9, max_masked=20, unit='blocks',
        num_frames='${grid.num_frames}', canvas='${grid.canvas}', patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='MaskedTokenMetric')
test_evaluator = val_evaluator
