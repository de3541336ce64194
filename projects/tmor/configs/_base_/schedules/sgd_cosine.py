# SGD; the learning rate rises from `start_factor` times lr over `warmup` epochs and falls along a
# cosine to `eta_min` at the end, stepped per iteration.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4))
schedule = dict(warmup=5, start_factor=0.01, eta_min=0)
param_scheduler = [
    dict(
        type='LinearLR', start_factor='${schedule.start_factor}', end='${schedule.warmup}',
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', eta_min='${schedule.eta_min}', begin='${schedule.warmup}',
        end='${train_cfg.max_epochs}', convert_to_iter_based=True)
]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=100, val_interval=10)
val_cfg = dict()
test_cfg = dict()
