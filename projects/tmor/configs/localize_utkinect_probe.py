# Linear probe: only the head is trained.
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'localize_utkinect.py'
model = dict(backbone=dict(frozen=True))
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=0.))
