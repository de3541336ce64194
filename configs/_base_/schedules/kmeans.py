# One epoch that collects cubes, to which the hook of the config fits the centers.
train_cfg = dict(type='ResumableTrainLoop', max_epochs=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.))
