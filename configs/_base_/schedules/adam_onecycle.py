# Adam; the learning rate rises from lr / `div_factor` to lr and falls to the initial rate /
# `final_div_factor`, stepped per iteration (MoFM, Tables 8 and 9).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999), weight_decay=3e-4, fused=True))
train_cfg = dict(type='ResumableTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict()
test_cfg = dict()
param_scheduler = dict(
    type='OneCycleLR',
    eta_max='${optim_wrapper.optimizer.lr}',
    total_steps='${train_cfg.max_epochs}',
    pct_start=0.3,
    div_factor=25,
    final_div_factor=1e3,
    convert_to_iter_based=True)
