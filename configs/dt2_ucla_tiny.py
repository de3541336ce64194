# DT2 on NW-UCLA at tiny size, a derived protocol: 7 auxiliary classes in 4 views per recording, 3
# novel classes in one view of the recordings of the third sensor (split test), so that no movement
# is repeated. The backbone is pre-trained on Penn Action.
_base_ = 'dt2_penn_tiny.py'
auxiliary = [1, 2, 4, 5, 7, 8, 9]
novel = [0, 3, 6]
model = dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/mofm/pretrain_tiny/epoch_60.pth')))
train_dataloader = dict(
    batch_size=56,
    sampler=dict(batch_size=56),
    dataset=dict(ann_file='data/nw_ucla.pkl'))
auto_scale_lr = dict(base_batch_size=56)
val_dataloader = dict(dataset=dict(ann_file='data/nw_ucla_test.pkl', split='test'))
test_dataloader = val_dataloader
