# k-means at tiny size on the mixture of data sets: the guide of dved_corpus_tiny.py.
_base_ = ['kmeans_teacher_tiny.py', '../_base_/datasets/motion_corpus.py']
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler, num_samples=1258),
    dataset=dict(_delete_=True, **_base_.corpus_dataset))
