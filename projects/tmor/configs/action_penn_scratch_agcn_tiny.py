# action_penn_scratch_tiny.py with AGCN, the joint stream of 2s-AGCN, instead of UNIK.
_base_ = 'action_penn_scratch_tiny.py'
gcn = dict(
    type='mmaction.AAGCN', in_channels=2, num_person=1, gcn_attention=False,
    graph_cfg=dict(mode='spatial'))
model = dict(backbone=dict(_delete_=True, type='GCNBackbone', gcn=gcn))
