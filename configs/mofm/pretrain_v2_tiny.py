# The best recipe at tiny size (docs/pretraining.md): k-means tokens and the contrast of two views
# of keypoint-aligned features, two segments a clip, on the mixture of data sets.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/tiny.py',
    '../_base_/models/pretrainer_v2_tiny.py', '../_base_/datasets/motion_views_tiny.py',
    '../_base_/schedules/adamw_cosine.py'
]
grid = dict(segments=2)
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=75, val_interval='${train_cfg.max_epochs}')
schedule = dict(warmup=4)
