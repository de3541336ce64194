# DVEDTokenizer for 2 cores: 512 tokens.
_base_ = 'dved_base.py'
model = dict(vocab_size=512, hidden=64)
