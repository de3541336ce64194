# Linear probe: only the head is trained, which a rate of 0 of the backbone does: it has neither
# dropout nor batch norm.
_base_ = 'localize_utkinect_motionbert_tiny.py'
optim_wrapper = dict(
    optimizer=dict(lr=1e-2, weight_decay=0.),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.))))
