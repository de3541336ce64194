# pretrain.py with block-wise masks, which the paper tried first (MoFM, Sec. 4.3), as in BEiT: 40 %
# of all cubes.
_base_ = 'pretrain.py'
mask = dict(type='BlockMaskGenerator', canvas='${grid.canvas}', patch='${grid.patch}')
train_pipeline = [*_base_.train_pipeline[:-2], mask, _base_.train_pipeline[-1]]
val_pipeline = [*_base_.val_pipeline[:-2], mask, _base_.val_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
