# dt1_penn_v2_tiny.py without pre-training, and without layer-wise decay, which only makes sense
# for trained layers. Rate and epochs are those of projects/scratch_grid_tiny.py.
_base_ = 'dt1_penn_v2_tiny.py'
model = dict(backbone=dict(init_cfg=None))
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay=1.))
train_cfg = dict(max_epochs=32)
