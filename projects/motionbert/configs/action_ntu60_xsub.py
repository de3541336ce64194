# Actions of NTU-60, X-Sub: fine-tuning with the recipe of the released config. Paper: 92.8 top-1;
# README of the release: 93.0.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/recognizer.py',
    '_base_/datasets/action.py', '_base_/schedules/action.py'
]
custom_imports = dict(imports=['projects.motionbert'])
data = dict(ann_file='data/ntu60_hrnet.pkl', num_classes=60, class_names='ntu60')
model = dict(cls_head=dict(type='MotionBERTClsHead', num_classes=60, dropout=0.5))
train_dataloader = dict(dataset=dict(**data, split='xsub_train'))
val_dataloader = dict(dataset=dict(**data, split='xsub_val'))
test_dataloader = val_dataloader
