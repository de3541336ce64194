# DT1, Penn Action (official split, 15 classes) at full size.
_base_ = 'dt1_ntu60.py'
split = dict(train='train', test='test')
data = dict(ann_file='data/penn_action.pkl', num_classes=15, class_names=None)
model = dict(cls_head=dict(num_classes=15))
train_dataloader = dict(dataset=dict(**data, split='${split.train}'))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
train_cfg = dict(val_interval='${train_cfg.max_epochs}')
