# The derived one-shot protocol of configs/dt2_penn_tiny.py: every third class of Penn Action is
# novel and excluded from pretrain_dstformer_tiny.py.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/recognizer_tiny.py',
    '_base_/datasets/action_tiny.py', '_base_/schedules/action.py'
]
custom_imports = dict(imports=['projects.motionbert'])
ann_file = 'data/penn_action.pkl'
auxiliary = [1, 2, 4, 5, 7, 8, 10, 11, 13, 14]
novel = [0, 3, 6, 9, 12]
model = dict(
    cls_head=dict(
        type='MotionBERTOneShotHead', in_channels=64, out_channels=256, dropout=0.1,
        probe_norm=True,  # chosen on auxiliary classes (docs/dt2.md)
        loss=dict(type='SupConLoss', temperature=0.1)))
train_dataloader = dict(
    batch_size=80,
    sampler=dict(_delete_=True, type='ClassBalancedSampler', batch_size=80, per_class=8),
    dataset=dict(ann_file=ann_file, classes='${auxiliary}'))
val_dataloader = dict(dataset=dict(ann_file=ann_file, classes='${novel}'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='OneShotAccuracy', draws=1000)
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=80)
# the rates decay as in 50 epochs of the released config
param_scheduler = [dict(type='ExponentialLR', gamma=0.9)]
train_cfg = dict(max_epochs=5, val_interval='${train_cfg.max_epochs}')
