# Linear probe on UAV-Human, cross-subject 2: one linear layer is trained. Paper: 60.1.
_base_ = 'action_uav_human_csv2.py'
model = dict(backbone=dict(frozen=True))
