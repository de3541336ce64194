# Actions of NTU-60, X-Sub, 3D joints, from scratch.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik.py',
    '_base_/datasets/skeleton_3d.py', '_base_/schedules/unik.py'
]
custom_imports = dict(imports=['projects.tmor'])
data = dict(ann_file='data/ntu60_3danno.pkl', num_classes=60, class_names='ntu60')
model = dict(
    backbone=dict(in_channels=3, num_joints=25, num_heads=4), cls_head=dict(num_classes=60))
train_dataloader = dict(dataset=dict(**data, split='xsub_train'))
val_dataloader = dict(dataset=dict(**data, split='xsub_val'))
test_dataloader = val_dataloader
