# skeleton.py at small size: whole clips resampled to 64 frames, one person, normalized by the box
# around the clip.
_base_ = 'skeleton.py'
num_frames = 64
train_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='ResampleCrop', num_frames='${num_frames}', ratio=(0.8, 1)),
    dict(type='SkeletonRotate', angle=10),
    dict(type='SkeletonMove', angles=(-5, 0, 5), shifts=(-.1, 0, .1)),
    dict(type='SkeletonFlip', prob=0.5),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='ResampleCrop', num_frames='${num_frames}', ratio=(1, 1)),
    dict(type='PackSkeleton')
]
train_dataloader = dict(
    batch_size=16, num_workers=1, pin_memory=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=16)
