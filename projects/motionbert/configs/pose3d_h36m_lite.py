# pose3d_h36m.py with the Lite backbone.
_base_ = 'pose3d_h36m.py'
model = dict(
    backbone=dict(
        embed_dims=256,
        mlp_ratio=4,
        init_cfg=dict(checkpoint='work_dirs/motionbert/pretrain_dstformer_lite/epoch_90.pth')))
