# 3D pose on Human3.6M from scratch (values of the released config). Paper: 39.2 mm.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/lifter.py',
    '_base_/datasets/pose3d.py', '_base_/schedules/lifting.py'
]
custom_imports = dict(imports=['projects.motionbert'])
optim_wrapper = dict(optimizer=dict(lr=2e-4))
train_cfg = dict(max_epochs=120)
