# skeleton_64.py with 16 frames, as many as the tiny models of mofm and MotionBERT read.
_base_ = 'skeleton_64.py'
train_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='ResampleCrop', num_frames=16, ratio=(0.8, 1)),
    dict(type='SkeletonRotate', angle=10),
    dict(type='SkeletonMove', angles=(-5, 0, 5), shifts=(-.1, 0, .1)),
    dict(type='SkeletonFlip', prob=0.5),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='ResampleCrop', num_frames=16, ratio=(1, 1)),
    dict(type='PackSkeleton')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
