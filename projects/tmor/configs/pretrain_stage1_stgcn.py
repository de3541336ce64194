# Stage 1 with ST-GCN of mmaction2 instead of UNIK, an ablation of the paper.
_base_ = 'pretrain_stage1.py'
gcn = dict(type='mmaction.STGCN', in_channels=2, graph_cfg=dict(mode='stgcn_spatial'))
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=gcn))
