# Windows of 300 frames that do not overlap, two persons, joints of UNIK, as in T-MOR. A config
# sets ann_file and split of the loaders.
meta_keys = ('frame_dir', 'sample_idx', 'frame', 'num_frames', 'valid', 'frame_targets',
             'segments')
pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='PackSkeleton', meta_keys=meta_keys)
]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='UntrimmedDataset', window=300, to_layout='unik17', pipeline=pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='UntrimmedDataset', window=300, to_layout='unik17', pipeline=pipeline,
        test_mode=True))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=32)
