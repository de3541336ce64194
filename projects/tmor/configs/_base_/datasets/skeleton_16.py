# skeleton_64.py with 16 frames, as the tiny models of MoFM and MotionBERT; as theirs, tests
# average a clip and its mirror image.
_base_ = 'skeleton_64.py'
num_frames = 16
val_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='ResampleCrop', num_frames='${num_frames}', ratio=(1, 1)),
    dict(type='SkeletonMirror'),
    dict(type='PackSkeleton')
]
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
