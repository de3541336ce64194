# pretrain.py with the Lite backbone.
_base_ = 'pretrain.py'
work_dir = 'work_dirs/motionbert_pretrain_lite'
model = dict(backbone=dict(embed_dims=256, mlp_ratio=4))
