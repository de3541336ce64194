# k-means tokenizer at full size: the guide and baseline of dved.py.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/base.py', '../_base_/models/kmeans.py',
    '../_base_/datasets/motion.py', '../_base_/schedules/kmeans.py'
]
model = dict(max_cubes=500_000)
# no PreemptionHook, as checkpoints lack the collected cubes
custom_hooks = [
    *(hook for hook in _base_.custom_hooks if hook.type != 'PreemptionHook'),
    dict(type='FitHook')
]
