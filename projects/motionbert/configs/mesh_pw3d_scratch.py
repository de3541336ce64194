# mesh_pw3d.py without pre-training.
_base_ = 'mesh_pw3d.py'
model = dict(backbone=dict(init_cfg=None))
optim_wrapper = dict(
    optimizer=dict(lr=1e-4), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.))))
