# DT3 on UTKinect at tiny size, a derived protocol: throw, push, pull and carry are abnormal, other
# actions and the time between them normal. Odd subjects train, by normal windows only, even
# subjects test.
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/tiny.py', '_base_/models/jigsaw_tiny.py',
    '_base_/datasets/tracks_tiny.py', '_base_/schedules/adam_onecycle.py'
]
split = dict(train='train', test='test')
data = dict(ann_file='data/utkinect_untrimmed.pkl', abnormal_labels=(4, 5, 6, 7))
train_dataloader = dict(dataset=dict(**data, split='${split.train}', normal_only=True))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FrameAUC',
    gt=dict(
        type='annotations', path=data['ann_file'], split='${val_dataloader.dataset.split}',
        abnormal_labels=data['abnormal_labels']),
    smoothing=(1, 2))  # a quarter of the paper's, as is the frame rate
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=6e-4), clip_grad=dict(max_norm=1.))
train_cfg = dict(max_epochs=10, val_interval='${train_cfg.max_epochs}')
