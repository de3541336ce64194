# pretrain_v2_tiny.py without the novel classes of the one-shot protocol on Penn Action.
_base_ = 'pretrain_v2_tiny.py'
datasets = _base_.corpus_dataset.datasets
train_dataloader = dict(
    dataset=dict(
        datasets=[dict(**datasets[0], classes=[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]), *datasets[1:]]))
model = dict(
    tokenizer=dict(
        init_cfg=dict(
            checkpoint='work_dirs/mofm/kmeans_v2_auxiliary_classes_tiny/epoch_1.pth')))
