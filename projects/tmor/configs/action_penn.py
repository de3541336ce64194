# Actions of Penn Action, 150 frames: fine-tuning. Paper: 98.2 top-1.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik_pretrained.py',
    '_base_/datasets/skeleton.py', '_base_/schedules/unik.py'
]
custom_imports = dict(imports=['projects.tmor'])
split = dict(train='train', test='test')
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(cls_head=dict(num_classes=15))
train_dataloader = dict(batch_size=8, dataset=dict(**data, split='${split.train}'))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.05, weight_decay=5e-4))
train_cfg = dict(max_epochs=30, val_interval='${train_cfg.max_epochs}')
param_scheduler = [dict(type='MultiStepLR', milestones=[10, 20], gamma=0.1)]
auto_scale_lr = dict(base_batch_size=8)
