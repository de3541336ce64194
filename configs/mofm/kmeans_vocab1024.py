# kmeans.py with 1024 tokens, the guide of dved_vocab1024.py.
_base_ = 'kmeans.py'
model = dict(vocab_size=1024)
