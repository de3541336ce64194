# DT1, NTU-60 X-Sub: fine-tuning with the recipe of the paper, 16 epochs, batch 24, AdamW,
# linear 1e-8 to 1e-4 over 5 epochs, cosine back to 1e-8. Paper: 89.4 top-1.
# Linear probe: --cfg-options model.backbone.frozen=True
# From scratch: --cfg-options model.backbone.init_cfg=None
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/base.py', '_base_/models/recognizer_base.py',
    '_base_/datasets/action.py', '_base_/schedules/adamw_cosine.py'
]
data = dict(ann_file='data/ntu60_hrnet.pkl', num_classes=60, class_names='ntu60')
model = dict(cls_head=dict(num_classes=60))
train_dataloader = dict(dataset=dict(**data, split='xsub_train'))
val_dataloader = dict(dataset=dict(**data, split='xsub_val'))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(weight_decay=3e-4))
train_cfg = dict(max_epochs=16)
schedule = dict(warmup=5, start_factor=1e-8 / 1e-4, eta_min=1e-8)
