# MotionRecognizer on the released DSTformer, 42.5 M parameters. Configs set the head.
model = dict(
    type='MotionRecognizer',
    backbone=dict(
        type='DSTformerBackbone',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert/pretrain_dstformer/epoch_90.pth',
            prefix='backbone.')),
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
