# pretrain.py with the tokens of the literal objective, dved_paper.py.
_base_ = 'pretrain.py'
model = dict(
    tokenizer=dict(init_cfg=dict(checkpoint='work_dirs/mofm/dved_paper/epoch_20.pth')))
