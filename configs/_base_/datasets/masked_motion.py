# Clips with masks, for the pre-training: as motion.py plus KeypointMaskGenerator.
ann_file = 'data/panoptic.pkl'
data_preprocessor = dict(
    type='MotionDataPreprocessor', num_frames=48, canvas=72, patch=4, sigma=0.6)
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len=48),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseFlip', prob=0.5),
    dict(type='ThermalCubeFormat', num_frames=48, canvas=72, patch=4),
    dict(type='KeypointMaskGenerator', min_masked=16, max_masked=75, unit='points'),
    dict(type='PackMotionInputs')
]
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len=48, test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='ThermalCubeFormat', num_frames=48, canvas=72, patch=4),
    dict(type='KeypointMaskGenerator', min_masked=16, max_masked=75, unit='points'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MotionDataset', ann_file=ann_file, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset', ann_file=ann_file, split='val', pipeline=val_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=32)
