# Linear probe: frozen backbone; batch norm statistics and one linear layer are trained.
# Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'dt1_penn_tiny.py'
model = dict(
    backbone=dict(frozen=True), cls_head=dict(dropout=0., label_smooth=0., probe_norm=True))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=1e-2, weight_decay=0.), paramwise_cfg=dict(layer_decay=1.))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(max_epochs=20, val_interval='${train_cfg.max_epochs}')
param_scheduler = [
    dict(
        type='CosineAnnealingLR', eta_min=1e-5, end='${train_cfg.max_epochs}',
        convert_to_iter_based=True)
]
