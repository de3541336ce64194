# pose3d_h36m_scratch.py with 10 heads (Table 6 j), of 510 channels, as 10 does not divide 512.
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(num_heads=10, embed_dims=510))
