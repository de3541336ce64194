# dVED at tiny size on Penn Action: the objective of dved.py, 512 tokens.
# Fit the guide first: python tools/train.py configs/mofm/kmeans_tiny.py
_base_ = [
    '../_base_/default_runtime.py', '../_base_/models/dved_tiny.py',
    '../_base_/datasets/motion_tiny.py', '../_base_/schedules/adamw_cosine.py'
]
guide = dict(
    type='KMeansTokenizer',
    num_frames=16,
    canvas=36,
    patch=4,
    vocab_size=512,
    trace_weight=0.5,
    init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mofm/kmeans_tiny/epoch_1.pth'))
model = dict(
    **_base_.tokenizer,
    hard=True,
    noise=0.25,
    loss=dict(type='GuidedDVEDLoss', guide=guide, rec_weight=16 * 4**2, foreground=2.),
    data_preprocessor=_base_.data_preprocessor)
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    optimizer=dict(lr=3e-3, weight_decay=1e-4), constructor='DefaultOptimWrapperConstructor')
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=16, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=3e-5, begin=1, end=16, convert_to_iter_based=True)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='AnnealHook', attribute='criterion.forcing', start=1., end=0., iters=600)
]
val_evaluator = dict(type='TokenizerMetric', vocab_size=512)
test_evaluator = val_evaluator
