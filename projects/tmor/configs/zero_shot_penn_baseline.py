# Zero-shot on Penn Action with keypoints as features, for projects/tmor/tools/zero_shot_splits.py
# (checkpoint: none).
_base_ = 'zero_shot_penn_mofm_tiny.py'
model = dict(
    backbone=dict(_delete_=True, type='KeypointFeatures'), cls_head=dict(in_channels=544))
