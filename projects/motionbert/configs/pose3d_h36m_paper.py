# pose3d_h36m.py with the paper's settings where the release differs: C_f = 256, no N-MPJPE, Adam,
# another learning rate. It does not state the epochs.
_base_ = 'pose3d_h36m_lite.py'
model = dict(
    backbone=dict(init_cfg=dict(
        checkpoint='work_dirs/motionbert/pretrain_dstformer_paper/epoch_80.pth')),
    loss=dict(n_mpjpe=0.))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=3e-4, fused=True))
