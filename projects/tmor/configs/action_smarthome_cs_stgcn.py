# action_smarthome_cs.py with ST-GCN after stage 2: fine-tuning.
_base_ = ['action_smarthome_cs.py', '_base_/models/stgcn.py']
model = dict(
    backbone=dict(
        _delete_=True, type='GCNBackbone', gcn=_base_.gcn,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2_stgcn/epoch_50.pth',
            prefix='backbone.')))
