# pretrain_v2_tiny.py on synthetic motion alone: free of the licenses of data sets.
_base_ = 'pretrain_v2_tiny.py'
model = dict(
    tokenizer=dict(
        init_cfg=dict(checkpoint='work_dirs/mofm/kmeans_v2_synthetic_tiny/epoch_1.pth')))
train_dataloader = dict(
    sampler=dict(weights=[1]),
    dataset=dict(
        datasets=[
            dict(
                type='SyntheticMotion', num_clips=3840, seed=0, pipeline='${train_pipeline}')
        ]))
val_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SyntheticMotion', num_clips=480, seed=1,
        pipeline='${val_pipeline}', test_mode=True))
test_dataloader = val_dataloader
