# pose3d_h36m_scratch.py with the mean of the streams (Table 6 e).
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(type='DSTformerVariant', adaptive=False))
