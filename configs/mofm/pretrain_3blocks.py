# pretrain.py with three residual blocks in the embedding: l = 3 (MoFM, Sec. 4.3).
_base_ = 'pretrain.py'
model = dict(
    backbone=dict(
        embed=dict(channels=(64, 128, 128), strides=((4, 1, 1), (3, 2, 2), (1, 1, 1)))))
