# The literal objective of the paper at tiny size, for comparison with dved_tiny.py.
_base_ = 'dved_tiny.py'
model = dict(hard=False, noise=1., loss=dict(_delete_=True, type='DVEDLoss'))
custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(type='AnnealHook', attribute='tau', start=1., end=1 / 16),
    dict(type='AnnealHook', attribute='criterion.beta', start=0., end=1e-5, iters=400)
]
