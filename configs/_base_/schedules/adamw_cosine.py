# AdamW; the learning rate rises linearly over the first epoch and falls to `end` along a cosine,
# stepped per iteration. A config sets lr, the ends and the number of epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    constructor='LayerDecayOptimWrapperConstructor')
train_cfg = dict(type='ResumableTrainLoop', max_epochs=20, val_interval=1)
val_cfg = dict()
test_cfg = dict()
