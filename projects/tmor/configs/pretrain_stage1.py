# Stage 1 of T-MOR: motions and videos, no labels (arXiv 2606.21607, Sec. II).
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/contrast.py',
    '_base_/datasets/motion_pairs.py', '_base_/schedules/sgd_cosine.py'
]
custom_imports = dict(imports=['projects.tmor'])
model = dict(
    heads=dict(visual=dict(type='ProjectionHead', in_channels=768)),
    tables=dict(visual='data/posecap_vis.npz'))
custom_hooks = [*_base_.custom_hooks, _base_.cluster_hook]
train_cfg = dict(val_interval='${train_cfg.max_epochs}')
