# 3D of Bandai-Namco's dataset 2 with synthetic 2D input, clips of 16 frames; 2D of Penn Action,
# without the classes that are novel in its one-shot protocol.
_base_ = 'pose3d_tiny.py'
mocap_pipeline = [
    dict(type='RandomYaw'),
    dict(type='CropScale3D', scale_range=(0.7, 1)),
    dict(type='SyntheticKeypoints'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs', noise=True, masked=True)
]
penn_pipeline = [
    dict(type='CropScale', scale_range=(1, 1.4)),
    dict(type='ZeroMissing'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs', noise=True, masked=True)
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MotionCaptureDataset', ann_file='data/bandai_clips.npz', clip_len=16, stride=8,
        pipeline=mocap_pipeline))
extra_dataloaders = [
    dict(
        batch_size=16,
        num_workers=1,
        persistent_workers=True,
        collate_fn=dict(type='mofm.motion_collate'),
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(
            type='TrackWindowDataset', ann_file='data/penn_action.pkl', split='train',
            classes=[1, 2, 4, 5, 7, 8, 10, 11, 13, 14], to_layout='h36m17', seg_len=16,
            stride=8, min_len=8, pipeline=penn_pipeline))
]
