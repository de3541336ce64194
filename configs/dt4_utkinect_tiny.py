# DT4 derived on UTKinect at tiny size: throw, push, pull and carry are abnormal, everything else
# and the time between actions is normal. Odd subjects train, even subjects test.
_base_ = [
    '_base_/default_runtime.py', '_base_/models/mofm_tiny.py', '_base_/datasets/tracks_tiny.py',
    '_base_/schedules/adam_onecycle.py'
]
data = dict(ann_file='data/utkinect_untrimmed.pkl', abnormal_labels=(4, 5, 6, 7))
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_tiny/epoch_60.pth',
            prefix='backbone.')),
    cls_head=dict(
        type='AnomalyClsHead', in_channels=128, dropout=0.4, class_weight=(1., 2.)),
    data_preprocessor=_base_.data_preprocessor)
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len=16, test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.9, 1.1)),
    dict(type='PoseJitter', std=0.01),
    dict(type='PoseFlip', prob=0.5),
    dict(type='ThermalCubeFormat', num_frames=16, canvas=36, patch=4),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    dataset=dict(**data, split='train', balance=0.25, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**data, split='test'))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FrameAUC',
    gt=dict(
        type='annotations', path=data['ann_file'], split='test',
        abnormal_labels=data['abnormal_labels']),
    smoothing=(1, 2))  # a quarter of the frame rate of the paper's data, a quarter of its sigma
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = dict(
    type='OneCycleLR', eta_max=5e-4, total_steps=2, pct_start=0.3, div_factor=25,
    final_div_factor=1e3, convert_to_iter_based=True)
