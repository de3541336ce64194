# DT4, UBnormal: normal or abnormal, 8 epochs, batch 16, Adam, one cycle 1e-8 to 1e-4 and back.
# Paper: 69.55 AUC.
_base_ = [
    '_base_/default_runtime.py', '_base_/models/mofm_base.py', '_base_/datasets/tracks.py',
    '_base_/schedules/adam_onecycle.py'
]
ann_file = 'data/ubnormal.pkl'
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        **_base_.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain/epoch_20.pth',
            prefix='backbone.')),
    cls_head=dict(
        type='AnomalyClsHead', in_channels=768, dropout=0.4, class_weight=(1., 2.)),
    data_preprocessor=_base_.data_preprocessor)
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len=48, test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.9, 1.1)),
    dict(type='PoseJitter', std=0.01),
    dict(type='PoseFlip', prob=0.5),
    dict(type='ThermalCubeFormat', num_frames=48, canvas=72, patch=4),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    dataset=dict(
        ann_file=ann_file,
        split='supervised_train',
        label_at='start',
        balance=0.25,
        pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split='test'))
test_dataloader = val_dataloader
val_evaluator = dict(type='FrameAUC', gt=dict(type='ubnormal', path='data/UBnormal/gt'))
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=1e-4, weight_decay=3e-4))
train_cfg = dict(max_epochs=8)
param_scheduler = dict(
    type='OneCycleLR', eta_max=1e-4, total_steps=8, pct_start=0.3, div_factor=1e-4 / 1e-8,
    final_div_factor=1, convert_to_iter_based=True)
