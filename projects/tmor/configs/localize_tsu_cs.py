# Toyota Smarthome Untrimmed, cross-subject: fine-tuning, per-frame and event mAP.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/localizer.py',
    '_base_/datasets/untrimmed.py', '_base_/schedules/localize.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/tsu_cs.arrow', strict_ends=True)
model = dict(head=dict(num_classes=51))
train_dataloader = dict(dataset=dict(**data, split='train'))
val_dataloader = dict(dataset=dict(**data, split='test'))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='FrameMAP', convention='tsu'),
    dict(type='EventMAP', segments=dict(type='threshold_segments'),
         skip_unmatched=True)  # as the script of the data set
]
test_evaluator = val_evaluator
