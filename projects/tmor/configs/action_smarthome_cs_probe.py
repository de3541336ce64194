# Linear probe on Toyota Smarthome, cross-subject: one linear layer is trained. Paper: 52.6.
_base_ = 'action_smarthome_cs.py'
model = dict(backbone=dict(frozen=True))
