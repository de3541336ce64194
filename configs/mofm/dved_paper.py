# dVED with the literal objective of the paper: smooth-L1 and a small KL to a uniform prior.
# Most of the MotionBook stays unused (docs/tokenizer.md); prefer dved.py.
_base_ = 'dved.py'
model = dict(hard=False, noise=1., loss=dict(_delete_=True, type='DVEDLoss'))
custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(type='AnnealHook', attribute='tau', start=1., end=1 / 16),
    dict(type='AnnealHook', attribute='criterion.beta', start=0., end=1e-5, iters=5000)
]
