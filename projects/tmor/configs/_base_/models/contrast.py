# MotionContrast on UNIK with the values of MoCo and of the code of T-MOR's first author.
model = dict(
    type='MotionContrast',
    backbone=dict(type='UNIKBackbone'),
    heads=dict(motion=dict(type='ProjectionHead', in_channels=256)),
    loss=dict(type='ClusterContrastLoss', temperature=0.07),
    momentum=0.999,
    queue_size=65536,
    data_preprocessor=dict(type='SkeletonDataPreprocessor'))
cluster_hook = dict(
    type='ClusterHook',
    clustering=dict(type='ClusterDBSCAN', min_samples=4, percentile=10.),
    warmup_epochs=1)
