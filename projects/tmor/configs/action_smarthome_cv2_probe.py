# Linear probe on Toyota Smarthome, cross-view 2: one linear layer is trained. Paper: 53.4.
_base_ = 'action_smarthome_cv2.py'
model = dict(backbone=dict(frozen=True))
