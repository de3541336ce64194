# Overlapping windows of 16 frames, for backbones of 16 frames.
_base_ = 'untrimmed_tiny.py'
data = dict(window=16, stride=8)
train_dataloader = dict(dataset=data)
val_dataloader = dict(batch_size=128, dataset=dict(window=16, stride=4))
test_dataloader = val_dataloader
