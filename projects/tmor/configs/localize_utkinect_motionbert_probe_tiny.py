# Linear probe: only the head is trained. The rate of the backbone is 0, instead of frozen=True, so
# that gradients are clipped as in the published figures; it has neither dropout nor batch norm.
_base_ = 'localize_utkinect_motionbert_tiny.py'
optim_wrapper = dict(
    optimizer=dict(lr=1e-2, weight_decay=0.),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.))))
