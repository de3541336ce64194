# oneshot_ntu120.py with a frozen backbone (Table 5 of the paper).
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'oneshot_ntu120.py'
model = dict(backbone=dict(frozen=True))
