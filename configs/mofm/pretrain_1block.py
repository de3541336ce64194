# pretrain.py with one residual block in the embedding: l = 1 (MoFM, Sec. 4.3).
_base_ = 'pretrain.py'
model = dict(
    backbone=dict(embed=dict(channels=(128, ), strides=((12, 2, 2), ))))
