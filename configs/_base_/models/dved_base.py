# DVEDTokenizer at the size of the paper: 24.7 M parameters (MoFM, Sec. 3.2).
tokenizer = dict(
    type='DVEDTokenizer',
    num_joints=17,
    num_frames=48,
    canvas=72,
    patch=4,
    vocab_size=8192,
    code_dim=256,
    hidden=256,
    num_blocks=2,
    temporal_strides=(4, 4),
    temporal_collapse='conv')
