# DT1, Penn Action (official split, 15 classes) at tiny size: fine-tuning of pretrain_tiny.py.
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/tiny.py', '_base_/models/recognizer_tiny.py',
    '_base_/datasets/action_tiny.py', '_base_/schedules/adamw_cosine.py'
]
split = dict(train='train', test='test')
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(cls_head=dict(num_classes=15, label_smooth=0.1))
train_dataloader = dict(batch_size=16, dataset=dict(**data, split='${split.train}'))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    clip_grad=dict(max_norm=1.),
    paramwise_cfg=dict(layer_decay=0.85))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=16, val_interval='${train_cfg.max_epochs}')
schedule = dict(warmup=2)
