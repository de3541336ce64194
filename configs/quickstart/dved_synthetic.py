# Quickstart, step 2: dved_teacher_tiny.py on synthetic motion, a shorter schedule.
_base_ = '../mofm/dved_teacher_tiny.py'
work_dir = 'quickstart/work_dirs/dved'
model = dict(
    loss=dict(guide=dict(init_cfg=dict(checkpoint='quickstart/work_dirs/kmeans/epoch_1.pth'))))
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=900, seed=1,
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=300, seed=2,
        pipeline=_base_.val_pipeline, test_mode=True))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=8, val_interval=8)
*others, forcing = _base_.custom_hooks
custom_hooks = [*others, dict(forcing, iters=230)]
