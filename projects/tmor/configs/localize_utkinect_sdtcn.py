# SD-TCN on frozen features.
_base_ = 'localize_utkinect.py'
model = dict(backbone=dict(frozen=True), head=dict(type='SDTCNHead'))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05))
