# MotionLifter with the released DSTformer: C = 512, 42.5 M parameters.
model = dict(
    type='MotionLifter',
    backbone=dict(
        type='DSTformer', embed_dims=512, rep_dims=512, depth=5, num_heads=8, mlp_ratio=2,
        max_frames=243),
    loss=dict(type='LiftingLoss', mpjpe=1., n_mpjpe=0.5, velocity=20., reprojection=1.),
    data_preprocessor=dict(type='LiftingDataPreprocessor'))
