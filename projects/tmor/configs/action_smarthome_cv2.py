# Actions of Toyota Smarthome, cross-view 2, 19 classes: fine-tuning. Paper: 66.7, mean over
# classes.
_base_ = 'action_smarthome_cs.py'
classes = [5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 20, 21, 23, 24, 25, 26, 27, 28, 29]
train_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='FillFrames'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='CropFrames', num_frames=400),
    dict(type='PadFrames', num_frames=400),
    dict(type='SkeletonMove'),
    dict(type='PackSkeleton')
]
model = dict(cls_head=dict(num_classes=19))
train_dataloader = dict(
    dataset=dict(split='cv2_train', classes=classes, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(split='cv_test', classes=classes))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.05, weight_decay=5e-4))
