# DT4 on UTKinect at tiny size, a derived protocol: throw, push, pull and carry are abnormal, other
# actions and the time between them normal. Trained on odd subjects, tested on even subjects.
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/tiny.py', '_base_/models/recognizer_tiny.py',
    '_base_/datasets/tracks_tiny.py', '_base_/schedules/adam_onecycle.py'
]
split = dict(train='train', test='test')
data = dict(ann_file='data/utkinect_untrimmed.pkl', abnormal_labels=(4, 5, 6, 7))
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
    dataset=dict(**data, split='${split.train}', balance=0.25, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FrameAUC',
    gt=dict(
        type='annotations', path=data['ann_file'], split='${val_dataloader.dataset.split}',
        abnormal_labels=data['abnormal_labels']),
    smoothing=(1, 2))  # a quarter of the paper's, as is the frame rate
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=2, val_interval='${train_cfg.max_epochs}')
