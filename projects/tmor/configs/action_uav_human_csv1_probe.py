# Linear probe on UAV-Human, cross-subject 1: one linear layer is trained. Paper: 33.5.
_base_ = 'action_uav_human_csv1.py'
model = dict(backbone=dict(frozen=True))
