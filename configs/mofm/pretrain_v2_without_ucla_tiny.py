# pretrain_v2_tiny.py without NW-UCLA, for tests of transfer to it.
_base_ = 'pretrain_v2_tiny.py'
model = dict(
    tokenizer=dict(
        init_cfg=dict(checkpoint='work_dirs/mofm/kmeans_v2_without_ucla_tiny/epoch_1.pth')))
train_dataloader = dict(
    sampler=dict(weights=[2, 2]), dataset=dict(datasets=_base_.corpus_dataset.datasets[::2]))
