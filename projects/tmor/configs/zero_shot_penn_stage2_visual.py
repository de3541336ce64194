# zero_shot_penn_stage2.py with features of the videos, projects/tmor/tools/video_features.py:
# "Motion + Visual".
_base_ = 'zero_shot_penn_stage2.py'
model = dict(cls_head=dict(visual_table='data/penn_vis.npz'))
