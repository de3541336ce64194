# Linear probe on NW-UCLA: backbone frozen; batch norm statistics and one linear layer are
# trained. Random backbone: --cfg-options model.backbone.init_cfg=None
_base_ = 'ucla_unik_finetune.py'
model = dict(backbone=dict(frozen=True), cls_head=dict(label_smooth=0., probe_norm=True))
train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=0.))
train_cfg = dict(max_epochs=15, val_interval=15)
param_scheduler = [
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=15, convert_to_iter_based=True)
]
