# dt3_sht.py by a density of keypoints, a small normalizing flow, instead of a jigsaw, with windows
# and schedule of STG-NF: 24 frames, 8 epochs, batch 256, Adamax. Published: STG-NF 85.9 AUC.
# Windows weighted by the confidence of the pose estimation: --cfg-options model.weighted=True
_base_ = 'dt3_sht.py'
grid = dict(num_frames=24)
model = dict(
    _delete_=True,
    type='FlowDetector',
    num_frames='${grid.num_frames}',
    data_preprocessor=_base_.model.data_preprocessor)
train_dataloader = dict(batch_size=256, dataset=dict(min_len=25))
val_dataloader = dict(dataset=dict(min_len=25))
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adamax', lr=5e-4, weight_decay=5e-5),
    clip_grad=dict(max_norm=100.))
param_scheduler = dict(
    _delete_=True, type='ExponentialLR', gamma=0.99, end='${train_cfg.max_epochs}')
train_cfg = dict(max_epochs=8, val_interval=8)
auto_scale_lr = dict(base_batch_size=256)
