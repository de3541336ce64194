# pretrain.py on the mixture of data sets, with the tokens of dved_corpus.py and attention over
# occupied cubes only.
_base_ = ['pretrain.py', '../_base_/datasets/motion_corpus.py']
model = dict(
    backbone=dict(tokens='occupied'),
    tokenizer=dict(init_cfg=dict(checkpoint='work_dirs/mofm/dved_corpus/epoch_20.pth')))
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler),
    dataset=dict(_delete_=True, **_base_.corpus_dataset))
split = dict(test='test')
val_dataloader = dict(dataset=dict(ann_file='data/penn_action.pkl'))
test_dataloader = val_dataloader
train_cfg = dict(val_interval='${train_cfg.max_epochs}')
