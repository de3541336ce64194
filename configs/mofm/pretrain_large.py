# pretrain.py for ViT-Large, fully sharded: weights, gradients and states of the optimizer are
# divided among the processes of tools/dist_train.sh, and blocks compute their activations again.
_base_ = ['pretrain.py', '../_base_/models/mofm_large.py']
model = dict(backbone=_base_.large, head=dict(in_channels=1024))
optim_wrapper = dict(clip_grad=dict(max_norm=3.))  # as BEiT (arXiv 2106.08254, appendix)
runner_type = 'FlexibleRunner'
strategy = dict(
    type='ShardedStrategy', model_wrapper=dict(auto_wrap_policy='is_transformer_block'))
