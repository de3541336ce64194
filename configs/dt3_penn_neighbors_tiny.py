# dt3_penn_split1_tiny.py by nearest neighbors of keypoints instead of a jigsaw: L1 distance to
# the normal clips and their mirror images, without training.
_base_ = ['dt3_penn_split1_tiny.py', '_base_/datasets/mirrored.py']
model = dict(
    _delete_=True,
    type='NearestNeighborDetector',
    backbone=dict(type='KeypointFeatures'),
    in_channels=544,  # 17 joints x 16 frames x 2
    gallery_size=4000,
    local_scale=10,
    data_preprocessor=_base_.model.data_preprocessor)
train_dataloader = dict(dataset=dict(pipeline=_base_.mirrored_pipeline))
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=0.))
param_scheduler = None
train_cfg = dict(max_epochs=1, val_interval=1)
# no PreemptionHook, as checkpoints lack the collected windows
custom_hooks = [
    *(hook for hook in _base_.custom_hooks if hook.type != 'PreemptionHook'),
    dict(type='FitHook')
]
