# dt1_ntu60.py after pretrain_paper.py: the chain with the literal objective of the paper.
_base_ = 'dt1_ntu60.py'
model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/mofm/pretrain_paper/epoch_20.pth')))
