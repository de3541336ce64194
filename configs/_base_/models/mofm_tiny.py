# MoFMBackbone for 2 cores: 4 blocks of width 128; only occupied cubes attend.
backbone = dict(
    type='MoFMBackbone',
    num_joints=17,
    num_frames=16,
    canvas=36,
    patch=4,
    embed_dims=128,
    depth=4,
    num_heads=4,
    mlp_ratio=4,
    embed=dict(type='LinearCubeEmbed'),
    max_tokens=96,
    tokens='occupied')
