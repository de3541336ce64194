# DT4, UBnormal, supervised: 8 epochs, batch 16, Adam, one cycle 1e-8 to 1e-4 and back. Paper:
# 69.55 AUC.
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/base.py', '_base_/models/recognizer_base.py',
    '_base_/datasets/tracks.py', '_base_/schedules/adam_onecycle.py'
]
ann_file = 'data/ubnormal.pkl'
model = dict(
    cls_head=dict(
        _delete_=True,
        type='AnomalyClsHead',
        in_channels='${model.backbone.embed_dims}',
        dropout=0.4,
        class_weight=(1., 2.)))
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.9, 1.1)),
    dict(type='PoseJitter', std=0.01),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
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
train_cfg = dict(max_epochs=8)
param_scheduler = dict(div_factor=1e-4 / 1e-8, final_div_factor=1)
