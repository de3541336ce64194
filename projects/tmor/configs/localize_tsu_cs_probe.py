# Linear probe: only the 13,107 parameters of the head are trained.
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'localize_tsu_cs.py'
model = dict(backbone=dict(frozen=True))
