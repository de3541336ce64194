# DVEDTokenizer at the size of the paper: 24.7 M parameters (MoFM, Sec. 3.2). A config sets the
# loss.
model = dict(
    type='DVEDTokenizer',
    num_joints=17,
    num_frames='${grid.num_frames}',
    canvas='${grid.canvas}',
    patch='${grid.patch}',
    vocab_size=8192,
    code_dim=256,
    hidden=256,
    num_blocks=2,
    temporal_strides=(4, 4),
    temporal_collapse='conv',
    data_preprocessor=dict(
        type='MotionDataPreprocessor',
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        sigma='${grid.sigma}'))
