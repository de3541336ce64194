# action_smarthome_cs.py with AGCN, the joint stream of 2s-AGCN, after stage 2: fine-tuning.
_base_ = 'action_smarthome_cs.py'
gcn = dict(
    type='mmaction.AAGCN', in_channels=2, gcn_attention=False, graph_cfg=dict(mode='spatial'))
model = dict(
    backbone=dict(
        _delete_=True, type='GCNBackbone', gcn=gcn,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2_agcn/epoch_50.pth',
            prefix='backbone.')))
