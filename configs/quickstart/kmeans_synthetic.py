# Quickstart, step 1: kmeans_teacher_tiny.py on synthetic motion.
_base_ = '../mofm/kmeans_teacher_tiny.py'
work_dir = 'quickstart/work_dirs/kmeans'
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=900, seed=1,
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=300, seed=2,
        pipeline=_base_.val_pipeline, test_mode=True))
test_dataloader = val_dataloader
