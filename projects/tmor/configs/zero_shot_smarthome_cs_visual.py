# zero_shot_smarthome_cs.py with the features of the videos by
# projects/tmor/tools/video_features.py: "Motion + Visual".
_base_ = 'zero_shot_smarthome_cs.py'
model = dict(cls_head=dict(visual_table='data/smarthome_vis.npz'))
