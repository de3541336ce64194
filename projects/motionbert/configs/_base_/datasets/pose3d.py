# Human3.6M with the 2D keypoints of a stacked hourglass network: clips of 243 frames.
ann_file = 'data/h36m_sh_conf_cam_source_final.pkl'
train_pipeline = [
    dict(type='NormalizeByWidth'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs')
]
val_pipeline = [
    dict(type='NormalizeByWidth'),
    dict(type='PackLiftingInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='Human36MDataset', ann_file=ann_file, split='train', clip_len=243, stride=81,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='Human36MDataset', ann_file=ann_file, split='test', clip_len=243, stride=243,
        pipeline=val_pipeline, test_mode=True))
test_dataloader = val_dataloader
auto_scale_lr = dict(enable=False, base_batch_size=32)
