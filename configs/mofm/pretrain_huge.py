# pretrain_large.py for ViT-Huge (arXiv 2010.11929, Table 1).
_base_ = 'pretrain_large.py'
model = dict(backbone=dict(embed_dims=1280, depth=32))
