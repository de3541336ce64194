# pose3d_bandai_tiny_scratch.py on the backbone of pretrain_tiny.py.
_base_ = 'pose3d_bandai_tiny_scratch.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert_pretrain_tiny/epoch_60.pth',
            prefix='backbone.')))
