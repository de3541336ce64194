# The derived one-shot protocol of configs/dt2_ucla_tiny.py: three classes of NW-UCLA are novel.
_base_ = 'oneshot_penn_tiny.py'
auxiliary = [1, 2, 4, 5, 7, 8, 9]
novel = [0, 3, 6]
train_dataloader = dict(
    batch_size=56,
    sampler=dict(batch_size=56),
    dataset=dict(ann_file='data/nw_ucla.pkl'))
auto_scale_lr = dict(base_batch_size=56)
val_dataloader = dict(dataset=dict(ann_file='data/nw_ucla_test.pkl', split='test'))
test_dataloader = val_dataloader
