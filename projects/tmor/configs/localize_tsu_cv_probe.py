# Linear probe, cross-view: only the 13,107 parameters of the head are trained.
_base_ = 'localize_tsu_cv.py'
model = dict(backbone=dict(frozen=True))
