# AdamW, the learning rate decays by 1 % per epoch. Configs set lr and the number of epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01, fused=True))
param_scheduler = dict(type='ExponentialLR', gamma=0.99)
train_cfg = dict(type='ResumableTrainLoop', max_epochs=90, val_interval=10)
val_cfg = dict()
test_cfg = dict()
val_evaluator = dict(type='PoseAccuracy3D')
test_evaluator = val_evaluator
