# pretrain_tiny.py on the mixture of sets, as many iterations as on Penn Action alone, with the
# tokens of dved_corpus_tiny.py.
_base_ = ['pretrain_tiny.py', '../_base_/datasets/motion_corpus.py']
model = dict(
    tokenizer=dict(init_cfg=dict(checkpoint='work_dirs/mofm/dved_corpus_tiny/epoch_16.pth')))
train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='MixtureSampler', weights=_base_.corpus_weights, num_samples=1258),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['classes'],
        datasets=[dict(**data, pipeline=_base_.train_pipeline) for data in _base_.corpus]))
