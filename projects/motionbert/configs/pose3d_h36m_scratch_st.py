# pose3d_h36m_scratch.py with one stream, S-T (Table 6 a): ten levels, as many attention
# layers.
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(type='DSTformerVariant', depth=10, streams=('smtm', )))
