# zero_shot_smarthome_cv2.py with the features of the videos: "Motion + Visual".
_base_ = 'zero_shot_smarthome_cv2.py'
model = dict(cls_head=dict(visual_table='data/smarthome_vis.npz'))
