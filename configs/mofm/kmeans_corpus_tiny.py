# k-means at tiny size on the mixture of sets: the guide of dved_corpus_tiny.py.
_base_ = ['kmeans_teacher_tiny.py', '../_base_/datasets/motion_corpus.py']
train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='MixtureSampler', weights=_base_.corpus_weights, num_samples=1258),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['classes'],
        datasets=[dict(**data, pipeline=_base_.train_pipeline) for data in _base_.corpus]))
