# action.py for tiny models: 16 frames, one person, joints of Human3.6M; tests average a clip and
# its mirror image.
_base_ = 'action.py'
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
    dict(type='LiftingMirror'),
    dict(type='PackLiftingInputs')
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    pin_memory=False,
    dataset=dict(to_layout='h36m17', pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(to_layout='h36m17', pipeline=val_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=16)
