# pose3d_h36m_paper.py from scratch.
_base_ = 'pose3d_h36m_scratch_lite.py'
model = dict(loss=dict(n_mpjpe=0.))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=5e-4, fused=True))
train_cfg = dict(max_epochs=60)
