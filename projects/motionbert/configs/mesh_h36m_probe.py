# mesh_h36m.py with a frozen backbone (Table 5 of the paper).
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'mesh_h36m.py'
model = dict(backbone=dict(frozen=True))
