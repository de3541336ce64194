# pretrain_dstformer.py with the Lite backbone.
_base_ = 'pretrain_dstformer.py'
model = dict(backbone=dict(embed_dims=256, mlp_ratio=4))
