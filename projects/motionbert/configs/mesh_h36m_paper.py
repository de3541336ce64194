# mesh_h36m.py with the paper's settings: C_f = 256, clips of 81 frames, hidden width 2048, Adam,
# batch 32, rates of 1e-4 (backbone) and 1e-3, 140 epochs; L1 distance of joints, rotations and
# shape, without velocity and parameter norm. It does not state the weights of the losses.
_base_ = 'mesh_h36m.py'
model = dict(
    backbone=dict(
        embed_dims=256,
        mlp_ratio=4,
        init_cfg=dict(checkpoint='work_dirs/motionbert/pretrain_dstformer_paper/epoch_80.pth')),
    head=dict(hidden_dims=2048),
    loss=dict(joint_norm=1, velocity=0., norm=0.))
train_dataloader = dict(batch_size=32, dataset=dict(clip_len=81, stride=27))
val_dataloader = dict(dataset=dict(clip_len=81, stride=81))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=1e-3, fused=True))
train_cfg = dict(max_epochs=140)
auto_scale_lr = dict(base_batch_size=32)
