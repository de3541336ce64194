# Zero-shot on Penn Action with statistics of keypoints as features and texts per body part and
# phase, for projects/tmor/tools/zero_shot_splits.py (checkpoint: none). Texts:
# projects/tmor/tools/text_features.py projects/tmor/descriptions/penn_action_parts.json
# data/penn_parts_text.npz
_base_ = 'zero_shot_penn_baseline.py'
model = dict(
    backbone=dict(type='KeypointStatistics'),
    cls_head=dict(in_channels=204, class_table='data/penn_parts_text.npz'))
