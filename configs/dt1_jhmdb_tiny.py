# DT1, JHMDB (21 classes, the first of three splits) at tiny size: fine-tuning of pretrain_tiny.py,
# tested once, at the end. The others: --cfg-options split.train=train2 split.test=test2; for
# choices: split.train=fit1 split.test=val1
_base_ = 'dt1_penn_tiny.py'
split = dict(train='train1', test='test1')
data = dict(ann_file='data/jhmdb.pkl', num_classes=21)
model = dict(cls_head=dict(num_classes=21))
train_dataloader = dict(dataset=dict(**data, split='${split.train}'))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=48, val_interval='${train_cfg.max_epochs}')
