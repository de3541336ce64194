# dVED with the literal objective of the paper: smooth-L1 and a small KL to a uniform prior.
# docs/tokenizer.md shows that most of the MotionBook stays unused; dved.py is the one that works.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/models/dved_base.py',
    '../_base_/datasets/motion.py', '../_base_/schedules/adamw_cosine.py'
]
model = dict(
    **_base_.tokenizer, data_preprocessor=_base_.data_preprocessor, loss=dict(type='DVEDLoss'))
optim_wrapper = dict(
    optimizer=dict(lr=3e-4, weight_decay=1e-4), constructor='DefaultOptimWrapperConstructor')
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6 / 3e-4, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, begin=1, end=20, convert_to_iter_based=True)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='AnnealHook', attribute='tau', start=1., end=1 / 16),
    dict(type='AnnealHook', attribute='criterion.beta', start=0., end=1e-5, iters=5000)
]
val_evaluator = dict(type='TokenizerMetric', vocab_size=8192)
test_evaluator = val_evaluator
