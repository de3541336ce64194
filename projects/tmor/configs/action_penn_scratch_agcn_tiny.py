# action_penn_scratch_tiny.py with AGCN, the joint stream of 2s-AGCN, instead of UNIK.
_base_ = ['action_penn_scratch_tiny.py', '_base_/models/agcn.py']
model = dict(
    backbone=dict(_delete_=True, type='GCNBackbone', gcn=dict(**_base_.gcn, num_person=1)))
