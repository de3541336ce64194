# pretrain.py with the 1024 tokens of dved_vocab1024.py.
_base_ = 'pretrain.py'
model = dict(
    tokenizer=dict(
        vocab_size=1024,
        init_cfg=dict(checkpoint='work_dirs/mofm/dved_vocab1024/epoch_20.pth')))
