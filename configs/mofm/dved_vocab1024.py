# dved.py with a MotionBook of 1024 tokens, for pretrain_vocab1024.py.
# Fit the guide first: python tools/train.py configs/mofm/kmeans_vocab1024.py
_base_ = 'dved.py'
model = dict(
    vocab_size=1024,
    loss=dict(guide=dict(init_cfg=dict(
        checkpoint='work_dirs/mofm/kmeans_vocab1024/epoch_1.pth'))))
