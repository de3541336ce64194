# motion_pairs.py on the motion corpus, without videos and texts: one person, normalized by its
# box. Both views are parts of a clip, from a third to all of it, resampled to 32 frames. The key
# is augmented more than in the paper, as there are few clips. Classes of Penn Action that are
# novel in the one-shot and zero-shot protocols (every third) are excluded.
_base_ = ['motion_pairs.py', '../../../../../configs/_base_/datasets/motion_corpus.py']
corpus = [
    dict(**_base_.corpus[0], classes=[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]), *_base_.corpus[1:]
]
query_pipeline = [
    dict(type='ResampleCrop', num_frames=32, ratio=(0.35, 1.)),
    dict(type='DropJoints', max_share=0.3)
]
key_pipeline = [
    *query_pipeline,
    dict(type='SkeletonRotate', angle=30),
    dict(type='SkeletonFlip', prob=0.5),
    dict(type='SkeletonMove')
]
train_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(
        type='TwoViews', query=query_pipeline, key=key_pipeline,
        keys=('keypoint', 'keypoint_score')),
    dict(type='PackSkeleton')
]
val_pipeline = [
    dict(type='NormalizeSkeleton', box=True),
    dict(type='SelectPersons', num_persons=1),
    dict(type='ResampleCrop', num_frames=64, ratio=(1., 1.)),
    dict(type='PackSkeleton')
]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    pin_memory=False,
    sampler=dict(
        _delete_=True, type='MixtureSampler', weights=_base_.corpus_weights, num_samples=2048),
    dataset=dict(
        _delete_=True,
        type='IndexedConcatDataset',
        ignore_keys=['classes'],
        datasets=[
            dict(**data, to_layout='unik17', pipeline=train_pipeline) for data in corpus
        ]))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=64)
