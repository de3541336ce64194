# Quickstart, steps 4 to 6: dt1_penn_tiny.py on a third of the clips, with labels of 15 actions.
_base_ = '../dt1_penn_tiny.py'
work_dir = 'quickstart/work_dirs/dt1'
model = dict(
    backbone=dict(init_cfg=dict(checkpoint='quickstart/work_dirs/pretrain/epoch_24.pth')),
    cls_head=dict(num_classes=15))
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=300, seed=1,
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=300, seed=2,
        pipeline=_base_.val_pipeline, test_mode=True))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=24, val_interval=6)
schedule = dict(warmup=1)
