# Stage 1 with AGCN of mmaction2, the joint stream of 2s-AGCN, instead of UNIK, an ablation.
_base_ = 'pretrain_stage1.py'
gcn = dict(
    type='mmaction.AAGCN', in_channels=2, gcn_attention=False, graph_cfg=dict(mode='spatial'))
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=gcn))
