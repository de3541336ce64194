# What makes the backbone of mofm_base.py a ViT-Large (arXiv 2010.11929, Table 1).
large = dict(embed_dims=1024, depth=24, num_heads=16, tokens='occupied', with_cp=True)
