# PKU-MMD, cross-subject, keypoints of virtual cameras: the model of 2D joints unchanged.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/localizer.py',
    '_base_/datasets/untrimmed.py', '_base_/schedules/localize.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/pku_mmd.arrow')
model = dict(head=dict(num_classes=51, loss=dict(type='FrameCELoss')))
train_dataloader = dict(dataset=dict(**data, split='cs_train'))
val_dataloader = dict(dataset=dict(**data, split='cs_test'))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='EventMAP', segments=dict(type='argmax_segments', sigma=5, min_length=10, max_gap=5),
         skip_unmatched=True),  # as the published figures
    dict(type='FrameMAP', convention='charades')
]
test_evaluator = val_evaluator
