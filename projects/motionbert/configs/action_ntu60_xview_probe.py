# action_ntu60_xview.py with a frozen backbone (Table 5 of the paper).
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'action_ntu60_xview.py'
model = dict(backbone=dict(frozen=True))
