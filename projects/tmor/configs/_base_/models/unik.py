# MotionRecognizer on UNIK, 3.4 M parameters. A config sets the classes of the head.
model = dict(
    type='MotionRecognizer',
    backbone=dict(type='UNIKBackbone'),
    cls_head=dict(type='ActionClsHead', in_channels=256, dropout=0.),
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
