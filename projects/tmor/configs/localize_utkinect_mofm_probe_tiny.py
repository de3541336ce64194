# Linear probe: only the head is trained.
_base_ = 'localize_utkinect_mofm_tiny.py'
model = dict(backbone=dict(frozen=True))
optim_wrapper = dict(optimizer=dict(lr=1e-2, weight_decay=0.))
