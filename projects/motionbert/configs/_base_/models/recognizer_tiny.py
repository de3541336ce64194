# recognizer.py at tiny size: C = 64, two levels, 16 frames.
_base_ = 'recognizer.py'
model = dict(
    backbone=dict(
        embed_dims=64,
        rep_dims=64,
        depth=2,
        num_heads=8,
        max_frames=16,
        init_std=0.125,
        init_cfg=dict(checkpoint='work_dirs/motionbert/pretrain_dstformer_tiny/epoch_60.pth')))
