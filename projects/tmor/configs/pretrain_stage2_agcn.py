# Stage 2 after pretrain_stage1_agcn.py.
_base_ = ['pretrain_stage2.py', '_base_/models/agcn.py']
stage1 = dict(
    type='Pretrained', checkpoint='work_dirs/tmor/pretrain_stage1_agcn/epoch_100.pth')
model = dict(
    backbone=dict(
        _delete_=True, type='GCNBackbone', gcn=_base_.gcn,
        init_cfg=dict(**stage1, prefix='backbone.')),
    heads=dict(
        motion=dict(init_cfg=dict(**stage1, prefix='heads.motion.')),
        visual=dict(init_cfg=dict(**stage1, prefix='heads.visual.'))))
