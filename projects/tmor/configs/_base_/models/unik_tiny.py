# unik.py for one person, after stage 1 on the motion corpus.
_base_ = 'unik.py'
model = dict(
    backbone=dict(
        num_persons=1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth',
            prefix='backbone.')))
