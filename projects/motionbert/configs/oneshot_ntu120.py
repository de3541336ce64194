# One-shot NTU-120: 100 auxiliary classes, 20 novel ones with one exemplar each. Recipe of the
# released config. Paper: 67.4 top-1. Data file from tools/data/one_shot.py.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/recognizer.py',
    '_base_/datasets/one_shot.py', '_base_/schedules/action.py'
]
custom_imports = dict(imports=['projects.motionbert'])
data = dict(ann_file='data/ntu120_oneshot.pkl', num_classes=120, class_names='ntu120')
model = dict(
    cls_head=dict(
        type='MotionBERTOneShotHead', dropout=0.1, loss=dict(type='SupConLoss', temperature=0.1)))
train_dataloader = dict(dataset=dict(**data, split='oneshot_train'))
val_dataloader = dict(
    dataset=dict(**data, split='oneshot_val', exemplar_split='oneshot_exemplar'))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=50)
