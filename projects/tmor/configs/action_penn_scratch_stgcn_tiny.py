# action_penn_scratch_tiny.py with ST-GCN of mmaction2 instead of UNIK.
_base_ = 'action_penn_scratch_tiny.py'
gcn = dict(type='mmaction.STGCN', in_channels=2, graph_cfg=dict(mode='stgcn_spatial'))
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=gcn))
