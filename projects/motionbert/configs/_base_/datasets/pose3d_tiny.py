# Recordings of Bandai-Namco seen by virtual cameras, clips of 16 frames. The cameras are 4 to 17 m
# away, so clips are normalized by the bounding box of their keypoints. Trained on dataset 2,
# tested on other motions of dataset 1; split 'test_seen' has the same motions.
_base_ = 'pose3d.py'
ann_file = 'data/bandai_h36m.pkl'
train_pipeline = [
    dict(type='NormalizeByBox'),
    dict(type='LiftingFlip', prob=0.5),
    dict(type='PackLiftingInputs')
]
val_pipeline = [dict(type='NormalizeByBox'), dict(type='PackLiftingInputs')]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    pin_memory=False,
    dataset=dict(ann_file=ann_file, clip_len=16, stride=8, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=128,
    num_workers=1,
    dataset=dict(ann_file=ann_file, clip_len=16, stride=16, pipeline=val_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=16)
