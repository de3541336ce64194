# tracks.py for tiny models, without tracks shorter than a window.
_base_ = 'tracks.py'
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    pin_memory=False,
    dataset=dict(stride=3, min_len='${grid.num_frames}'))
val_dataloader = dict(
    batch_size=128, num_workers=1, dataset=dict(min_len='${grid.num_frames}'))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=32)
