# SGD of UNIK2's temporal localization: 50 epochs; the rate falls to a tenth after 30 and 40.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4))
param_scheduler = [dict(type='MultiStepLR', milestones=[30, 40], gamma=0.1)]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=50, val_interval=5)
val_cfg = dict()
test_cfg = dict()
