# dVED at tiny size on Penn Action: the objective of dved.py, 512 tokens.
# Fit the guide first: python tools/train.py configs/mofm/kmeans_tiny.py
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/tiny.py', '../_base_/models/dved_tiny.py',
    '../_base_/datasets/motion_tiny.py', '../_base_/schedules/adamw_cosine.py'
]
model = dict(
    hard=True,
    noise=0.25,
    loss=dict(
        type='GuidedDVEDLoss',
        guide=dict(
            type='KMeansTokenizer',
            num_frames='${grid.num_frames}',
            canvas='${grid.canvas}',
            patch='${grid.patch}',
            vocab_size='${model.vocab_size}',
            trace_weight=0.5,
            init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mofm/kmeans_tiny/epoch_1.pth')),
        foreground=2.))
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    optimizer=dict(lr=3e-3, weight_decay=1e-4), constructor='DefaultOptimWrapperConstructor')
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=16, val_interval='${train_cfg.max_epochs}')
schedule = dict(eta_min=3e-5)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='AnnealHook', attribute='criterion.forcing', start=1., end=0., iters=600)
]
