# dVED guided by k-means (docs/tokenizer.md), with size, data and schedule of the paper.
# Fit the guide first: python tools/train.py configs/mofm/kmeans.py
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/base.py', '../_base_/models/dved_base.py',
    '../_base_/datasets/motion.py', '../_base_/schedules/adamw_cosine.py'
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
            trace_weight=1.,
            init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mofm/kmeans/epoch_1.pth')),
        foreground=2.))
optim_wrapper = dict(
    optimizer=dict(lr=3e-4, weight_decay=1e-4), constructor='DefaultOptimWrapperConstructor')
schedule = dict(start_factor=1e-6 / 3e-4)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='AnnealHook', attribute='criterion.forcing', start=1., end=0., iters=5000)
]
