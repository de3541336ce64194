# action.py at tiny size: 16 frames and one person, whose joints come in the order of Human3.6M.
train_pipeline = [
    dict(type='PersonTracking', fix_conf_order=True),
    dict(type='ResampleFrames', num_frames=16, random=True, resample_every_epoch=True),
    dict(type='NormalizeByLongSide'),
    dict(type='PadPersons', num_persons=1),
    dict(type='RandomMove', angle=10, scale=(0.9, 1.1), shift=0.1),
    dict(type='CropScale', scale_range=(1, 1.4)),
    dict(type='ZeroMissing'),
    dict(type='PackLiftingInputs')
]
val_pipeline = [
    dict(type='PersonTracking', fix_conf_order=True),
    dict(type='ResampleFrames', num_frames=16),
    dict(type='NormalizeByLongSide'),
    dict(type='PadPersons', num_persons=1),
    dict(type='CropScale', scale_range=(1.2, 1.2)),
    dict(type='ZeroMissing'),
    dict(type='PackLiftingInputs')
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MotionDataset', to_layout='h36m17', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset', to_layout='h36m17', pipeline=val_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmaction.AccMetric')
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=16)
