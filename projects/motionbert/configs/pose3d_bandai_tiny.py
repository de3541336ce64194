# pose3d_bandai_scratch_tiny.py on the backbone of pretrain_dstformer_tiny.py.
_base_ = 'pose3d_bandai_scratch_tiny.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert/pretrain_dstformer_tiny/epoch_60.pth',
            prefix='backbone.')))
