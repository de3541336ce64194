# Actions of Toyota Smarthome, cross-subject: fine-tuning. Paper: 66.2, mean over classes.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik_pretrained.py',
    '_base_/datasets/skeleton_400.py', '_base_/schedules/unik.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/smarthome.pkl', num_classes=31)
model = dict(cls_head=dict(num_classes=31))
train_dataloader = dict(dataset=dict(**data, split='cs_train'))
val_dataloader = dict(dataset=dict(**data, split='cs_test'))
test_dataloader = val_dataloader
