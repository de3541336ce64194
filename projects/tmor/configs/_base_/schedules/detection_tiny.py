# SGD on windows of UTKinect; the rate falls along a cosine, stepped per iteration.
_base_ = 'detection.py'
optim_wrapper = dict(optimizer=dict(lr=0.05), clip_grad=dict(max_norm=5.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=0.5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=0.5, end=12, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=12, val_interval=4)
