# pretrain.py for ViT-Large (arXiv 2010.11929, Table 1), fully sharded over the processes of
# tools/dist_train.sh, with activation checkpointing.
_base_ = 'pretrain.py'
model = dict(
    backbone=dict(embed_dims=1024, depth=24, num_heads=16, tokens='occupied', with_cp=True))
optim_wrapper = dict(clip_grad=dict(max_norm=3.))  # as BEiT (arXiv 2106.08254, appendix)
runner_type = 'FlexibleRunner'
strategy = dict(type='ShardedStrategy')
