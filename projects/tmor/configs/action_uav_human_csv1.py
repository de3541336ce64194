# Actions of UAV-Human, cross-subject 1: fine-tuning. Paper: 44.4 top-1.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik_pretrained.py',
    '_base_/datasets/skeleton.py', '_base_/schedules/unik.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/uav_human.arrow', num_classes=155)
model = dict(cls_head=dict(num_classes=155))
train_dataloader = dict(dataset=dict(**data, split='csv1_train'))
val_dataloader = dict(dataset=dict(**data, split='csv1_test'))
test_dataloader = val_dataloader
