# Linear probe: only the 40,349 parameters of the head are trained.
_base_ = 'localize_charades.py'
model = dict(backbone=dict(frozen=True))
