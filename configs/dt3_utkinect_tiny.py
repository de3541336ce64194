# DT3 derived on UTKinect at tiny size: throw, push, pull and carry are abnormal, everything else
# and the time between actions is normal. Normal windows of odd subjects train, even subjects test.
_base_ = [
    '_base_/default_runtime.py', '_base_/models/mofm_tiny.py', '_base_/datasets/tracks_tiny.py',
    '_base_/schedules/adam_onecycle.py'
]
data = dict(ann_file='data/utkinect_untrimmed.pkl', abnormal_labels=(4, 5, 6, 7))
model = dict(
    type='JigsawDetector',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_tiny/epoch_60.pth',
            prefix='backbone.')),
    head=dict(type='JigsawHead', in_channels=128, canvas=36, patch=4, grid=(3, 3), dropout=0.4),
    data_preprocessor=_base_.data_preprocessor)
train_dataloader = dict(dataset=dict(**data, split='train', normal_only=True))
val_dataloader = dict(dataset=dict(**data, split='test'))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FrameAUC',
    gt=dict(
        type='annotations', path=data['ann_file'], split='test',
        abnormal_labels=data['abnormal_labels']),
    smoothing=(1, 2))  # a quarter of the frame rate of the paper's data, a quarter of its sigma
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=6e-4), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=10, val_interval=10)
param_scheduler = dict(
    type='OneCycleLR', eta_max=1e-3, total_steps=10, pct_start=0.3, div_factor=25,
    final_div_factor=1e3, convert_to_iter_based=True)
