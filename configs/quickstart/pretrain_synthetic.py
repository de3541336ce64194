# Quickstart, step 3: pretrain_tiny.py on synthetic motion, a shorter schedule.
_base_ = '../mofm/pretrain_tiny.py'
work_dir = 'quickstart/work_dirs/pretrain'
model = dict(
    tokenizer=dict(init_cfg=dict(checkpoint='quickstart/work_dirs/dved/epoch_8.pth')))
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=900, seed=1,
        pipeline=_base_.train_pipeline))
auto_scale_lr = dict(base_batch_size=16)
val_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=300, seed=2,
        pipeline=_base_.val_pipeline, test_mode=True))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=24, val_interval=6)
schedule = dict(warmup=1)
