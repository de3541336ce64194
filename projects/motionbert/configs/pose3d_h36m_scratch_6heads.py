# pose3d_h36m_scratch.py with 6 heads (Table 6 i), of 510 channels, as 6 does not divide 512.
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(num_heads=6, embed_dims=510))
