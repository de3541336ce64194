# k-means at full size on the mixture of data sets: the guide of dved_corpus.py.
_base_ = ['kmeans.py', '../_base_/datasets/motion_corpus.py']
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler),
    dataset=dict(_delete_=True, **_base_.corpus_dataset))
split = dict(test='test')
val_dataloader = dict(dataset=dict(ann_file='data/penn_action.pkl'))
test_dataloader = val_dataloader
