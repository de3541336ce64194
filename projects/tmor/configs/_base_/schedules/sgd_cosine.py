# SGD; the learning rate rises over five epochs and falls along a cosine, stepped per iteration.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0, begin=5, end=100, convert_to_iter_based=True)
]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=100, val_interval=10)
val_cfg = dict()
test_cfg = dict()
