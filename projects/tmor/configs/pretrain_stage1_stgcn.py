# Stage 1 with ST-GCN of mmaction2 instead of UNIK, an ablation of the paper.
_base_ = ['pretrain_stage1.py', '_base_/models/stgcn.py']
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=_base_.gcn))
