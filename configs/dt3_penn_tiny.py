# DT3 on Penn Action at tiny size, a derived protocol: five strength exercises are normal, the
# other ten actions abnormal; AUC over the test clips. The backbone is pre-trained on the normal
# clips only: add train_dataloader.dataset.classes=[2,8,9,10,11] to the pre-training (docs/dt3.md).
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/tiny.py', '_base_/models/jigsaw_tiny.py',
    '_base_/datasets/action_tiny.py', '_base_/schedules/adam_onecycle.py'
]
split = dict(train='train', test='test')
ann_file = 'data/penn_action.pkl'
normal = [2, 8, 9, 10, 11]  # bench_press, pullup, pushup, situp, squat
model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='work_dirs/mofm/pretrain_penn_strength/epoch_60.pth')))
train_dataloader = dict(
    dataset=dict(ann_file=ann_file, split='${split.train}', classes='${normal}'))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split='${split.test}'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipAUC', normal_labels='${normal}')
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=6e-4, weight_decay=6e-4), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=120, val_interval='${train_cfg.max_epochs}')
