# Actions of NW-UCLA, views 1 and 2 train, 3 tests; else as penn_unik.py.
_base_ = 'penn_unik.py'
data = dict(ann_file='data/nw_ucla.pkl', num_classes=10)
model = dict(cls_head=dict(num_classes=10))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
