# Charades: fine-tuning, per-frame mAP of all frames.
# The official 25 frames of each video: --cfg-options test_evaluator.num_points=25
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/localizer.py',
    '_base_/datasets/untrimmed.py', '_base_/schedules/localize.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/charades.arrow')
model = dict(head=dict(num_classes=157))
train_dataloader = dict(dataset=dict(**data, split='train'))
val_dataloader = dict(dataset=dict(**data, split='test'))
test_dataloader = val_dataloader
val_evaluator = dict(type='FrameMAP', convention='charades')
test_evaluator = val_evaluator
