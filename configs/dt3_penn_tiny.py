# DT3 derived on Penn Action at tiny size, one-class: five strength exercises are normal, the other
# ten actions abnormal; AUC over the test clips. The backbone was pre-trained on the normal clips
# only: add "train_dataloader.dataset.classes=[2,8,9,10,11]" to the pre-training (docs/dt3.md).
_base_ = [
    '_base_/default_runtime.py', '_base_/models/mofm_tiny.py', '_base_/datasets/action_tiny.py',
    '_base_/schedules/adam_onecycle.py'
]
ann_file = 'data/penn_action.pkl'
strength = [2, 8, 9, 10, 11]  # bench_press, pullup, pushup, situp, squat
model = dict(
    type='JigsawDetector',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_penn_strength/epoch_60.pth',
            prefix='backbone.')),
    head=dict(type='JigsawHead', in_channels=128, canvas=36, patch=4, grid=(3, 3), dropout=0.4),
    data_preprocessor=_base_.data_preprocessor)
train_dataloader = dict(dataset=dict(ann_file=ann_file, split='train', classes=strength))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split='test'))
test_dataloader = val_dataloader
val_evaluator = dict(type='ClipAUC', normal_labels=strength)
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=6e-4, weight_decay=6e-4), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=120, val_interval=40)
param_scheduler = dict(
    type='OneCycleLR', eta_max=6e-4, total_steps=120, pct_start=0.3, div_factor=25,
    final_div_factor=1e3, convert_to_iter_based=True)
