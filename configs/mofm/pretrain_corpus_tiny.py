# pretrain_tiny.py on the mixture of data sets, with the iterations of Penn Action alone and the
# tokens of dved_corpus_tiny.py.
_base_ = ['pretrain_tiny.py', '../_base_/datasets/motion_corpus.py']
model = dict(
    tokenizer=dict(init_cfg=dict(checkpoint='work_dirs/mofm/dved_corpus_tiny/epoch_16.pth')))
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler, num_samples=1258),
    dataset=dict(_delete_=True, **_base_.corpus_dataset))
