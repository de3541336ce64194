# dved.py on the mixture of data sets.
# Fit the guide first: python tools/train.py configs/mofm/kmeans_corpus.py
_base_ = ['dved.py', '../_base_/datasets/motion_corpus.py']
model = dict(
    loss=dict(guide=dict(init_cfg=dict(checkpoint='work_dirs/mofm/kmeans_corpus/epoch_1.pth'))))
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler),
    dataset=dict(_delete_=True, **_base_.corpus_dataset))
split = dict(test='test')
val_dataloader = dict(dataset=dict(ann_file='data/penn_action.pkl'))
test_dataloader = val_dataloader
train_cfg = dict(val_interval='${train_cfg.max_epochs}')
