# DT2, one-shot NTU-120: 100 auxiliary classes, 20 novel ones with one exemplar each. The recipe of
# the paper: 5 epochs, batch 16 = 8 classes x 2, AdamW, linear 1e-8 to 1e-5 over 0.3 epochs, cosine
# back to 1e-8. Paper: 56.6 top-1. tools/data/one_shot.py writes the file.
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/base.py', '_base_/models/recognizer_base.py',
    '_base_/datasets/action.py', '_base_/schedules/adamw_cosine.py'
]
data = dict(ann_file='data/ntu120_oneshot.pkl', num_classes=120, class_names='ntu120')
model = dict(
    cls_head=dict(
        _delete_=True,
        type='OneShotHead',
        in_channels='${model.backbone.embed_dims}',
        out_channels=2048,
        dropout=0.4,
        loss=dict(type='SupConLoss', temperature=0.1)))
train_dataloader = dict(
    batch_size=16,
    sampler=dict(_delete_=True, type='ClassBalancedSampler', batch_size=16, per_class=2),
    dataset=dict(**data, split='oneshot_train'))
val_dataloader = dict(
    dataset=dict(**data, split='oneshot_val', exemplar_split='oneshot_exemplar'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='OneShotAccuracy')
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=1e-5, weight_decay=3e-4))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=5)
schedule = dict(warmup=0.3, start_factor=1e-8 / 1e-5, eta_min=1e-8)
