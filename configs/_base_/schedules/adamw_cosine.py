# AdamW; the learning rate rises linearly from `start_factor` times lr over the first `warmup`
# epochs and falls along a cosine to `eta_min` at the end, stepped per iteration.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    constructor='LayerDecayOptimWrapperConstructor')
train_cfg = dict(type='ResumableTrainLoop', max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
schedule = dict(warmup=1, start_factor=0.01, eta_min=1e-6)
param_scheduler = [
    dict(
        type='LinearLR', start_factor='${schedule.start_factor}', end='${schedule.warmup}',
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', eta_min='${schedule.eta_min}', begin='${schedule.warmup}',
        end='${train_cfg.max_epochs}', convert_to_iter_based=True)
]
