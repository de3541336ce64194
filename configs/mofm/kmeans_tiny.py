# The baseline: k-means with 512 centers on the occupied cubes of the training clips.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/motion_tiny.py']
model = dict(
    type='KMeansTokenizer',
    num_frames=16,
    canvas=36,
    patch=4,
    vocab_size=512,
    trace_weight=0.5,
    data_preprocessor=_base_.data_preprocessor)
# no PreemptionHook: the collected cubes are not in a checkpoint, a killed k-means starts anew
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='FitKMeansHook')]
train_cfg = dict(type='ResumableTrainLoop', max_epochs=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.))
val_evaluator = dict(type='TokenizerMetric', vocab_size=512)
test_evaluator = val_evaluator
