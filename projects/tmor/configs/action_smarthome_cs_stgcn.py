# action_smarthome_cs.py with ST-GCN after stage 2: fine-tuning.
_base_ = 'action_smarthome_cs.py'
gcn = dict(type='mmaction.STGCN', in_channels=2, graph_cfg=dict(mode='stgcn_spatial'))
model = dict(
    backbone=dict(
        _delete_=True, type='GCNBackbone', gcn=gcn,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2_stgcn/epoch_50.pth',
            prefix='backbone.')))
