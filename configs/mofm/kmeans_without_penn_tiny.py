# kmeans_corpus_tiny.py without Penn Action, for tests of transfer to it.
_base_ = 'kmeans_corpus_tiny.py'
train_dataloader = dict(
    sampler=dict(weights=[1, 2]), dataset=dict(datasets=_base_.corpus_dataset.datasets[1:]))
