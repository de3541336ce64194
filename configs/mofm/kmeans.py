# k-means tokenizer at full size: the guide of dved.py, and the baseline it is held against.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/motion.py']
model = dict(
    type='KMeansTokenizer',
    num_frames=48,
    canvas=72,
    patch=4,
    vocab_size=8192,
    trace_weight=1.,
    max_cubes=500_000,
    data_preprocessor=_base_.data_preprocessor)
# no PreemptionHook: the collected cubes are not in a checkpoint, a killed k-means starts anew
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='FitKMeansHook')]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.))
val_evaluator = dict(type='TokenizerMetric', vocab_size=8192)
test_evaluator = val_evaluator
