# skeleton.py with the 25 joints of Kinect v2 in 3D and all 300 frames, for NTU RGB+D.
_base_ = 'skeleton.py'
data = dict(layout='kinect25', to_layout='kinect25', dims=3)
train_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='CropFrames', num_frames=300),
    dict(type='PadFrames', num_frames=300),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='CropFrames', num_frames=300, random=False),
    dict(type='PadFrames', num_frames=300, random=False),
    dict(type='PackSkeleton')
]
train_dataloader = dict(batch_size=32, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, dataset=dict(**data, pipeline=val_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=32)
