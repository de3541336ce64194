# Stage 2 on the training clips of Penn Action, with the descriptions of their classes as texts,
# made by projects/tmor/tools/text_features.py --annotations.
_base_ = 'pretrain_stage1_tiny.py'
stage1 = dict(type='Pretrained', checkpoint='work_dirs/pretrain_stage1_tiny/epoch_12.pth')
model = dict(
    backbone=dict(init_cfg=dict(**stage1, prefix='backbone.')),
    heads=dict(
        motion=dict(init_cfg=dict(**stage1, prefix='heads.motion.')),
        text=dict(type='ProjectionHead', in_channels=384)),
    tables=dict(text='data/penn_txt.npz'))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(
        _delete_=True, type='MotionDataset', ann_file='data/penn_action.pkl', split='train',
        to_layout='unik17', pipeline=_base_.train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0, begin=1, end=10, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=10, val_interval=5)
