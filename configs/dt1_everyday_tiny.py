# dt1_penn_v2_tiny.py for 28 actions of sport and daily life: Penn Action, NW-UCLA and UTKinect in
# one file of tools/data/join_annotations.py. Each batch has 16 classes, as their sizes differ.
_base_ = 'dt1_penn_v2_tiny.py'
data = dict(ann_file='data/everyday.pkl', num_classes=28)
model = dict(cls_head=dict(num_classes=28))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='ClassBalancedSampler', batch_size=16, per_class=1),
    dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=12)
