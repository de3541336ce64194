# oneshot_ntu120.py with the paper's settings where the release differs: C_f = 256, Adam, batches
# of 8 classes x 2, 243 frames.
_base_ = 'oneshot_ntu120.py'
model = dict(
    backbone=dict(
        embed_dims=256,
        mlp_ratio=4,
        init_cfg=dict(checkpoint='work_dirs/motionbert/pretrain_dstformer_paper/epoch_80.pth')))
train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
for pipeline in (train_pipeline, val_pipeline):
    pipeline[1].update(num_frames=243)
train_dataloader = dict(
    batch_size=16, sampler=dict(batch_size=16), dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1e-3, fused=True))
auto_scale_lr = dict(base_batch_size=16)
