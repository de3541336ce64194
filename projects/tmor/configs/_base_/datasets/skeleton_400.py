# skeleton.py with clips of 400 frames, no augmentation and balanced accuracy, for Smarthome.
_base_ = 'skeleton.py'
num_frames = 400
train_pipeline = [
    dict(type='NormalizeSkeleton'),
    dict(type='FillFrames'),
    dict(type='SelectPersons', num_persons=2),
    dict(type='CropFrames', num_frames='${num_frames}'),
    dict(type='PadFrames', num_frames='${num_frames}'),
    dict(type='PackSkeleton')
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=16)
test_dataloader = val_dataloader
val_evaluator = dict(metric_list=('top_k_accuracy', 'mean_class_accuracy'))
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=16)
