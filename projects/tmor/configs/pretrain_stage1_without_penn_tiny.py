# pretrain_stage1_tiny.py without Penn Action, for zero_shot_penn_transfer.py.
_base_ = 'pretrain_stage1_tiny.py'
train_dataloader = dict(
    sampler=dict(weights=_base_.corpus_weights[1:]),
    dataset=dict(datasets=_base_.train_dataloader.dataset.datasets[1:]))
