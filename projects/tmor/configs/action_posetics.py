# Pre-training of UNIK with the 320 classes of Posetics.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik.py',
    '_base_/datasets/skeleton.py', '_base_/schedules/unik.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/posetics.pkl', num_classes=320)
model = dict(cls_head=dict(num_classes=320))
train_dataloader = dict(dataset=dict(**data, split='train'))
val_dataloader = dict(dataset=dict(**data, split='val'))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=65)
param_scheduler = [dict(type='MultiStepLR', milestones=[45, 55], gamma=0.1)]
