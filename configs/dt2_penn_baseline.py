# The baseline of dt2_penn_tiny.py: keypoints as features, without training (checkpoint: none).
_base_ = 'dt2_penn_tiny.py'
model = dict(
    backbone=dict(_delete_=True, type='KeypointFeatures'),
    cls_head=dict(in_channels=544, out_channels=None))
