# SGD of UNIK; the learning rate falls to a tenth twice. A config sets lr, decay and epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4))
train_cfg = dict(type='ResumableTrainLoop', max_epochs=50, val_interval=5)
param_scheduler = [dict(type='MultiStepLR', milestones=[30, 40], gamma=0.1)]
val_cfg = dict()
test_cfg = dict()
