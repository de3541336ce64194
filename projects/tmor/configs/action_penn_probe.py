# Linear probe on Penn Action, 150 frames: one linear layer is trained. Paper: 97.8.
_base_ = 'action_penn.py'
model = dict(backbone=dict(frozen=True))
