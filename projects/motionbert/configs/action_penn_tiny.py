# Actions of Penn Action (official split, 15 classes) at tiny size: fine-tuning of
# pretrain_dstformer_tiny.py. Data, batch size and epochs are those of configs/dt1_penn_tiny.py.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/recognizer_tiny.py',
    '_base_/datasets/action_tiny.py', '_base_/schedules/action.py'
]
custom_imports = dict(imports=['projects.motionbert'])
split = dict(train='train', test='test')
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(
    cls_head=dict(
        type='MotionBERTClsHead', num_classes=15, in_channels=64, hidden_channels=256,
        dropout=0.5))
train_dataloader = dict(dataset=dict(**data, split='${split.train}'))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
# the rates decay as in 300 epochs of the released config; the initial rate of the backbone is ten
# times higher
optim_wrapper = dict(paramwise_cfg=None)
param_scheduler = [dict(type='ExponentialLR', gamma=0.83)]
train_cfg = dict(max_epochs=16, val_interval='${train_cfg.max_epochs}')
