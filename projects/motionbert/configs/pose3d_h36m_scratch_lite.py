# pose3d_h36m_scratch.py with the Lite backbone.
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(embed_dims=256, mlp_ratio=4))
