# The pre-trained backbone of pretrainer_base.py with a linear classifier. Configs set num_classes.
_base_ = 'pretrainer_base.py'
model = dict(
    _delete_=True,
    type='MotionRecognizer',
    backbone=dict(
        _base_.model.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain/epoch_20.pth',
            prefix='backbone.')),
    cls_head=dict(
        type='ActionClsHead', in_channels='${model.backbone.embed_dims}', dropout=0.4),
    data_preprocessor=_base_.model.data_preprocessor)
