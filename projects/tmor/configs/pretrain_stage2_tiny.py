# Stage 2 on the labeled part of the motion corpus, with the descriptions of the classes as texts,
# encoded by projects/tmor/tools/text_features.py --annotations. Every third class of Penn Action
# is excluded, as in stage 1: a text is a label.
_base_ = 'pretrain_stage1_tiny.py'
stage1 = dict(type='Pretrained', checkpoint='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth')
model = dict(
    backbone=dict(init_cfg=dict(**stage1, prefix='backbone.')),
    heads=dict(
        motion=dict(init_cfg=dict(**stage1, prefix='heads.motion.')),
        text=dict(type='ProjectionHead', in_channels=384)),
    tables=dict(text='data/motion_txt.npz'))
train_dataloader = dict(
    sampler=dict(weights=[1, 1]),
    dataset=dict(datasets=_base_.train_dataloader.dataset.datasets[:2]))
custom_hooks = [*_base_.custom_hooks[:-1], dict(_base_.cluster_hook, warmup_epochs=1)]
optim_wrapper = dict(optimizer=dict(lr=5e-4))
