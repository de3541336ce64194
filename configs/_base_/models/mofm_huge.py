# What makes the backbone of mofm_base.py a ViT-Huge (arXiv 2010.11929, Table 1).
huge = dict(embed_dims=1280, depth=32, num_heads=16, tokens='occupied', with_cp=True)
