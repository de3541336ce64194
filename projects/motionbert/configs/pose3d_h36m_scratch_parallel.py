# pose3d_h36m_scratch.py with a stream over joints and one over frames (Table 6 c).
_base_ = 'pose3d_h36m_scratch.py'
model = dict(backbone=dict(type='DSTformerVariant', streams=('smsm', 'tmtm')))
