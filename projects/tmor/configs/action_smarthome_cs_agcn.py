# action_smarthome_cs.py with AGCN, the joint stream of 2s-AGCN, after stage 2: fine-tuning.
_base_ = ['action_smarthome_cs.py', '_base_/models/agcn.py']
model = dict(
    backbone=dict(
        _delete_=True, type='GCNBackbone', gcn=_base_.gcn,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2_agcn/epoch_50.pth',
            prefix='backbone.')))
