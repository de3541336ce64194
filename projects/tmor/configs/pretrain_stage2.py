# Stage 2 of T-MOR: motions, videos and texts, from the weights of stage 1.
_base_ = 'pretrain_stage1.py'
stage1 = dict(type='Pretrained', checkpoint='work_dirs/tmor/pretrain_stage1/epoch_100.pth')
model = dict(
    backbone=dict(init_cfg=dict(**stage1, prefix='backbone.')),
    heads=dict(
        motion=dict(init_cfg=dict(**stage1, prefix='heads.motion.')),
        visual=dict(init_cfg=dict(**stage1, prefix='heads.visual.')),
        text=dict(type='ProjectionHead', in_channels=768)),
    tables=dict(text='data/posecap_txt.npz'))
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_epochs=50, val_interval='${train_cfg.max_epochs}')
