# Baseline: k-means with 512 tokens on the occupied cubes of the training clips.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/tiny.py', '../_base_/models/kmeans.py',
    '../_base_/datasets/motion_tiny.py', '../_base_/schedules/kmeans.py'
]
model = dict(vocab_size=512, trace_weight=0.5)
# no PreemptionHook, as checkpoints lack the collected cubes
custom_hooks = [
    *(hook for hook in _base_.custom_hooks if hook.type != 'PreemptionHook'),
    dict(type='FitHook')
]
