# motion.py with masks, for the pre-training.
_base_ = 'motion.py'
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(
        type='KeypointMaskGenerator', min_masked=16, max_masked=75, unit='points',
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
        type='KeypointMaskGenerator', min_masked=16, max_masked=75, unit='points',
        num_frames='${grid.num_frames}', canvas='${grid.canvas}', patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='MaskedTokenMetric')
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=32)
