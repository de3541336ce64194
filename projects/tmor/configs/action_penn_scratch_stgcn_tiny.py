# action_penn_scratch_tiny.py with ST-GCN of mmaction2 instead of UNIK.
_base_ = ['action_penn_scratch_tiny.py', '_base_/models/stgcn.py']
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=_base_.gcn))
