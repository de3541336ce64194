# action_ntu60_xview.py with the Lite backbone.
_base_ = 'action_ntu60_xview.py'
model = dict(
    backbone=dict(
        embed_dims=256,
        mlp_ratio=4,
        init_cfg=dict(checkpoint='work_dirs/motionbert/pretrain_dstformer_lite/epoch_90.pth')))
