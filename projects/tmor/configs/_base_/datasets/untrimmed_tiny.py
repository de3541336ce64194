# untrimmed.py at small size for UTKinect: windows of 64 frames, one person. Odd subjects train,
# even subjects test.
_base_ = 'untrimmed.py'
train_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='SkeletonMove'),
    dict(type='SkeletonFlip', prob=0.5),
    dict(type='PackSkeleton', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='PackSkeleton', meta_keys=_base_.meta_keys)
]
split = dict(train='train', test='test')
data = dict(ann_file='data/utkinect_untrimmed.pkl', window=64, stride=32)
train_dataloader = dict(batch_size=16, num_workers=1, pin_memory=False,
                        dataset=dict(**data, split='${split.train}', pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1, dataset=dict(**data, split='${split.test}', pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='FrameMAP'),
    dict(type='EventMAP', segments=dict(type='threshold_segments', threshold=0.3, sigma=2,
                                        min_length=5, max_gap=3))
]
test_evaluator = val_evaluator
auto_scale_lr = dict(base_batch_size=16)
