# Triplets of projects/tmor/tools/build_triplets.py. The query is the sequence itself, the key a
# rotated part of it.
query_pipeline = [
    dict(type='CropFrames', num_frames=150, random=False),
    dict(type='PadFrames', num_frames=150, random=False)
]
key_pipeline = [
    dict(type='ResampleCrop', num_frames=150, ratio=(0.5, 1.)),
    dict(type='SkeletonRotate', angle=30)
]
train_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='SelectPersons', num_persons=2),
    dict(
        type='TwoViews', query=query_pipeline, key=key_pipeline,
        keys=('keypoint', 'keypoint_score')),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='SelectPersons', num_persons=2), *query_pipeline,
    dict(type='PackSkeleton')
]
train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MotionDataset', ann_file='data/posecap.arrow', to_layout='unik17',
        pipeline=train_pipeline))
split = dict(train='train', test='test')
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset', ann_file='data/penn_action.pkl', split='${split.test}',
        to_layout='unik17', pipeline=val_pipeline, test_mode=True))
test_dataloader = val_dataloader
# similarity of clips of the same action, without training on labels
val_evaluator = dict(type='OneShotAccuracy', draws=1000)
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=256)
