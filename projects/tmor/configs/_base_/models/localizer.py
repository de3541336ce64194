# MotionDetector on UNIK with one linear layer for each frame. A config sets num_classes.
model = dict(
    type='MotionDetector',
    backbone=dict(
        type='UNIKBackbone',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2/epoch_50.pth',
            prefix='backbone.')),
    head=dict(type='FrameHead'),
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
