# pose3d_h36m_scratch.py with one stream, T-S (Table 6 b), ten levels.
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(type='DSTformerVariant', depth=10, streams=('tmsm', )))
