# ucla_unik.py after stage 1 on the motion corpus.
_base_ = 'penn_unik_finetune.py'
data = dict(ann_file='data/nw_ucla.pkl', num_classes=10)
model = dict(cls_head=dict(num_classes=10))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
