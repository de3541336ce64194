# oneshot_ntu120.py with the paper's settings where the release differs: C_f = 256, Adam, batches
# of 8 classes x 2.
_base_ = 'oneshot_ntu120.py'
model = dict(
    backbone=dict(
        embed_dims=256,
        mlp_ratio=4,
        init_cfg=dict(checkpoint='work_dirs/motionbert/pretrain_dstformer_lite/epoch_90.pth')))
train_dataloader = dict(batch_size=16, sampler=dict(batch_size=16))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1e-3, fused=True))
auto_scale_lr = dict(base_batch_size=16)
