# action.py with 100 frames, pairs of clips of a class, and recognition by the nearest exemplar, as
# for the released model of NTU-120. Configs set ann_file and splits.
_base_ = 'action.py'
train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
for pipeline in (train_pipeline, val_pipeline):
    pipeline[1].update(num_frames=100)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='ClassBalancedSampler', batch_size=32, per_class=2),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='OneShotAccuracy')
test_evaluator = val_evaluator
