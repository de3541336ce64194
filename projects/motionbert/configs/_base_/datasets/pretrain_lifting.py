# 3D of AMASS and Human3.6M with synthetic 2D input, clips of 243 frames; 2D of PoseTrack18 and
# InstaVariety, which the curriculum adds (extra_dataloaders).
_base_ = 'pose3d.py'
amass_pipeline = [
    dict(type='ScaleMotion', scale=0.298),
    dict(type='SyntheticKeypoints'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs', noise=True, masked=True)
]
h36m_pipeline = [
    dict(type='NormalizeByWidth'),
    dict(type='SyntheticKeypoints'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs', noise=True, masked=True)
]
posetrack_pipeline = [
    dict(type='CropScale'),
    dict(type='ZeroMissing'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs', noise=True, masked=True)
]
instavariety_pipeline = [
    dict(type='NormalizeByShortSide'),
    dict(type='ZeroMissing'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs', masked=True)
]
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(type='MotionCaptureDataset', ann_file='data/amass_clips.npz', clip_len=243,
                 stride=81, pipeline=amass_pipeline),
            dict(type='Human36MDataset', ann_file=_base_.ann_file, split='train', clip_len=243,
                 stride=81, pipeline=h36m_pipeline)
        ]))
loader_2d = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True))
extra_dataloaders = [
    dict(
        **loader_2d,
        dataset=dict(
            type='TrackWindowDataset', ann_file='data/posetrack18.pkl', layout='h36m17',
            to_layout='h36m17', seg_len=30, stride=30, min_len=30, pipeline=posetrack_pipeline)),
    dict(
        **loader_2d,
        dataset=dict(
            type='TrackWindowDataset', ann_file='data/instavariety.pkl', layout='h36m17',
            to_layout='h36m17', seg_len=81, stride=27, min_len=1,
            pipeline=instavariety_pipeline))
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
