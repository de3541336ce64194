# lifting.py for short training of tiny models, with cosine annealing.
_base_ = 'lifting.py'
optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=1.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=1, end='${train_cfg.max_epochs}')
]
