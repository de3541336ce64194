# DVEDTokenizer for 2 cores: 512 tokens of 16 frames on a 36x36 canvas.
tokenizer = dict(
    type='DVEDTokenizer',
    num_joints=17,
    num_frames=16,
    canvas=36,
    patch=4,
    vocab_size=512,
    code_dim=256,
    hidden=64,
    num_blocks=2,
    temporal_strides=(4, 4))
