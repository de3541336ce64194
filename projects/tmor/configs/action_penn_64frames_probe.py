# Linear probe on Penn Action, 64 frames: one linear layer is trained, as in the paper.
# Random backbone: --cfg-options model.backbone.init_cfg=None
# Normalized features, e.g. for a random backbone: model.cls_head.probe_norm=True
_base_ = 'action_penn_64frames.py'
model = dict(backbone=dict(frozen=True), cls_head=dict(label_smooth=0.))
train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=0.))
train_cfg = dict(max_epochs=10, val_interval='${train_cfg.max_epochs}')
param_scheduler = [
    dict(
        type='CosineAnnealingLR', eta_min=1e-5, end='${train_cfg.max_epochs}',
        convert_to_iter_based=True)
]
