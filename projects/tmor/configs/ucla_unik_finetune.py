# ucla_unik.py after stage 1 on the motion corpus.
_base_ = 'ucla_unik.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/pretrain_stage1_tiny/epoch_12.pth',
            prefix='backbone.')))
optim_wrapper = dict(optimizer=dict(lr=0.02))
