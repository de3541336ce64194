# SGD on windows of UTKinect; the rate falls along a cosine, stepped per iteration.
_base_ = 'localize.py'
optim_wrapper = dict(optimizer=dict(lr=0.05), clip_grad=dict(max_norm=5.))
schedule = dict(warmup=0.5, start_factor=0.1, eta_min=1e-5)
param_scheduler = [
    dict(
        type='LinearLR', start_factor='${schedule.start_factor}', end='${schedule.warmup}',
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', eta_min='${schedule.eta_min}', begin='${schedule.warmup}',
        end='${train_cfg.max_epochs}', convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=12, val_interval='${train_cfg.max_epochs}')
