# pretrain_large.py for ViT-Huge.
_base_ = ['pretrain_large.py', '../_base_/models/mofm_huge.py']
model = dict(backbone=_base_.huge, head=dict(in_channels=1280))
