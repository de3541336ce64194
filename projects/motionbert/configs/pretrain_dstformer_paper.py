# pretrain_dstformer.py with the paper's settings where the release differs: C_f = 256, no N-MPJPE,
# Adam, 30 + 50 epochs.
_base_ = 'pretrain_dstformer_lite.py'
model = dict(loss=dict(n_mpjpe=0.))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=5e-4, fused=True))
train_cfg = dict(max_epochs=80)
