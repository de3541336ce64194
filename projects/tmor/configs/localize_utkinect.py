# UTKinect untrimmed, cross-subject: fine-tuning of UNIK after stage 1 on the motion corpus.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/localizer.py',
    '_base_/datasets/untrimmed_tiny.py', '_base_/schedules/localize_tiny.py'
]
custom_imports = dict(imports=['projects.tmor'])
model = dict(
    backbone=dict(
        num_persons=1,
        init_cfg=dict(checkpoint='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth')),
    head=dict(num_classes=10))
