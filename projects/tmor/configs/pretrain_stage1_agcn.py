# Stage 1 with AGCN of mmaction2, the joint stream of 2s-AGCN, instead of UNIK, an ablation.
_base_ = ['pretrain_stage1.py', '_base_/models/agcn.py']
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=_base_.gcn))
