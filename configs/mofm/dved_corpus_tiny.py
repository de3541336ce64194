# dved_teacher_tiny.py on the mixture of data sets, with the iterations of Penn Action alone.
# Fit the guide first: python tools/train.py configs/mofm/kmeans_corpus_tiny.py
_base_ = ['dved_teacher_tiny.py', '../_base_/datasets/motion_corpus.py']
model = dict(
    loss=dict(
        guide=dict(init_cfg=dict(checkpoint='work_dirs/mofm/kmeans_corpus_tiny/epoch_1.pth'))))
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler, num_samples=1258),
    dataset=dict(_delete_=True, **_base_.corpus_dataset))
