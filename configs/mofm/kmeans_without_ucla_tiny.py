# kmeans_corpus_tiny.py without NW-UCLA, for tests of transfer to it.
_base_ = 'kmeans_corpus_tiny.py'
train_dataloader = dict(
    sampler=dict(weights=[2, 2]), dataset=dict(datasets=_base_.corpus_dataset.datasets[::2]))
