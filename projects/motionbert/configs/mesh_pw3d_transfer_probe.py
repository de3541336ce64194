# mesh_pw3d_transfer.py with a frozen backbone (Table 5 of the paper).
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'mesh_pw3d_transfer.py'
model = dict(backbone=dict(frozen=True))
