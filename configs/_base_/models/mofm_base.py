# MoFMBackbone at the size of the paper: ViT-Base, 87.7 M parameters (MoFM, Sec. 3.3).
backbone = dict(
    type='MoFMBackbone',
    num_joints=17,
    num_frames=48,
    canvas=72,
    patch=4,
    embed_dims=768,
    depth=12,
    num_heads=12,
    mlp_ratio=4,
    embed=dict(type='ConvCubeEmbed'),
    max_tokens=384)
