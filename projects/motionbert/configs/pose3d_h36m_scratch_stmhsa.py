# pose3d_h36m_scratch.py with no MLP between the attentions (Table 6 d, ST-MHSA).
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(type='DSTformerVariant', streams=('stm', 'tsm')))
