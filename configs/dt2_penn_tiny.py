# DT2 on Penn Action at tiny size, a derived protocol: every third class is novel, training uses
# all clips of the other ten. The backbone is pre-trained without the novel classes, see
# docs/dt2.md. The schedule is that of the paper with ten times its peak; at the peak of
# dt1_penn_tiny.py, 1e-3, novel classes collapse.
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/tiny.py', '_base_/models/recognizer_tiny.py',
    '_base_/datasets/action_tiny.py', '_base_/schedules/adamw_cosine.py'
]
ann_file = 'data/penn_action.pkl'
auxiliary = [1, 2, 4, 5, 7, 8, 10, 11, 13, 14]
novel = [0, 3, 6, 9, 12]
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='work_dirs/mofm/pretrain_auxiliary_classes_tiny/epoch_60.pth')),
    cls_head=dict(
        _delete_=True,
        type='OneShotHead',
        in_channels='${model.backbone.embed_dims}',
        out_channels=256,
        dropout=0.4,
        loss=dict(type='SupConLoss', temperature=0.1)))
train_dataloader = dict(
    batch_size=80,
    sampler=dict(_delete_=True, type='ClassBalancedSampler', batch_size=80, per_class=8),
    dataset=dict(ann_file=ann_file, classes='${auxiliary}'))
val_dataloader = dict(dataset=dict(ann_file=ann_file, classes='${novel}'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='OneShotAccuracy', draws=1000)
test_evaluator = val_evaluator
optim_wrapper = dict(clip_grad=dict(max_norm=1.), paramwise_cfg=dict(layer_decay=0.85))
auto_scale_lr = dict(base_batch_size=80)
train_cfg = dict(max_epochs=5, val_interval='${train_cfg.max_epochs}')
schedule = dict(warmup=0.3)
