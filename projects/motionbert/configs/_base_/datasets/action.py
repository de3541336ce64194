# Clips of 243 frames and two persons, as for the released models of NTU-60. Configs set ann_file
# and split of the three loaders.
train_pipeline = [
    dict(type='PersonTracking'),
    dict(type='ResampleFrames', num_frames=243, random=True),
    dict(type='NormalizeByLongSide'),
    dict(type='CocoToH36M'),
    dict(type='PadPersons', num_persons=2),
    dict(type='RandomMove', angle=10, scale=(0.9, 1.1), shift=0.1),
    dict(type='CropScale', scale_range=(1, 3)),
    dict(type='PackLiftingInputs')
]
val_pipeline = [
    dict(type='PersonTracking'),
    dict(type='ResampleFrames', num_frames=243),
    dict(type='NormalizeByLongSide'),
    dict(type='CocoToH36M'),
    dict(type='PadPersons', num_persons=2),
    dict(type='CropScale', scale_range=(2, 2)),
    dict(type='PackLiftingInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MotionDataset', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='MotionDataset', pipeline=val_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmaction.AccMetric')
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=32)
