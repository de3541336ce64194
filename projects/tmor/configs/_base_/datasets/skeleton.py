# Clips of 150 frames and two persons, joints of UNIK, as in its released models. A config sets
# ann_file and split of the three loaders.
num_frames = 150
train_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='FillFrames'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='CropFrames', num_frames='${num_frames}'),
    dict(type='PadFrames', num_frames='${num_frames}'),
    dict(type='SkeletonMove'),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='FillFrames'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='CropFrames', num_frames='${num_frames}', random=False),
    dict(type='PadFrames', num_frames='${num_frames}', random=False),
    dict(type='PackSkeleton')
]
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MotionDataset', to_layout='unik17', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset', to_layout='unik17', pipeline=val_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmaction.AccMetric')
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=64)
