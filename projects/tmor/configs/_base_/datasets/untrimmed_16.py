# Windows of 16 frames at half a window, for backbones of 16 frames.
_base_ = 'untrimmed_tiny.py'
data = dict(window=16, stride=8)
train_dataloader = dict(batch_size=64, dataset=data)
val_dataloader = dict(batch_size=128, dataset=dict(window=16, stride=4))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=64)
