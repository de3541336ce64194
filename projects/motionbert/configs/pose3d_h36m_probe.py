# pose3d_h36m.py with a frozen backbone (Table 5 of the paper).
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'pose3d_h36m.py'
model = dict(backbone=dict(frozen=True))
