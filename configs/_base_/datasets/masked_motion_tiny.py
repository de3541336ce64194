# masked_motion.py at tiny size: 16 frames on a 36x36 canvas, Penn Action.
ann_file = 'data/penn_action.pkl'
data_preprocessor = dict(
    type='MotionDataPreprocessor', num_frames=16, canvas=36, patch=4, sigma=0.6)
train_pipeline = [
    dict(type='TemporalCrop', ratio=(0.7, 1.0)),
    dict(type='UniformSampleFrames', clip_len=16),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.8, 1.1), shift=0.06, rotation=15),
    dict(type='PoseFlip', prob=0.5),
    dict(type='ThermalCubeFormat', num_frames=16, canvas=36, patch=4),
    dict(
        type='KeypointMaskGenerator', min_masked=9, max_masked=20, unit='blocks',
        num_frames=16, canvas=36, patch=4),
    dict(type='PackMotionInputs')
]
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len=16, test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='ThermalCubeFormat', num_frames=16, canvas=36, patch=4),
    dict(
        type='KeypointMaskGenerator', min_masked=9, max_masked=20, unit='blocks',
        num_frames=16, canvas=36, patch=4),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MotionDataset', ann_file=ann_file, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset', ann_file=ann_file, split='test', pipeline=val_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=32)
