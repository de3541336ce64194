# action_penn_64frames_scratch.py after stage 1 on the motion corpus.
_base_ = 'action_penn_64frames_scratch.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth',
            prefix='backbone.')))
optim_wrapper = dict(optimizer=dict(lr=0.02))
