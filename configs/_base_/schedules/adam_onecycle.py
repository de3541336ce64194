# Adam; the learning rate goes up and down once, stepped per iteration (MoFM, Table 7). A config
# sets the peak, weight decay and the number of epochs (twice).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999), weight_decay=3e-4, fused=True))
train_cfg = dict(type='ResumableTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict()
test_cfg = dict()
