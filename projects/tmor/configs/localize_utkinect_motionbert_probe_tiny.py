# Linear probe: only the head is trained. The rate of the backbone is 0 and not frozen=True, so that
# its gradients count in the clipping, as in the published figures; it has no dropout or batch norm.
_base_ = 'localize_utkinect_motionbert_tiny.py'
optim_wrapper = dict(
    optimizer=dict(lr=1e-2, weight_decay=0.),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.))))
