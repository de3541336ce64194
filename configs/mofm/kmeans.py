# k-means tokenizer at full size: the guide of dved.py, and the baseline it is held against.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/base.py', '../_base_/models/kmeans.py',
    '../_base_/datasets/motion.py', '../_base_/schedules/kmeans.py'
]
model = dict(max_cubes=500_000)
# no PreemptionHook: the collected cubes are not in a checkpoint, a killed k-means starts anew
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='FitKMeansHook')]
