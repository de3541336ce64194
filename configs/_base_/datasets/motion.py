# Clips without labels, for the tokenizer.
# The paper uses CMU Panoptic; any file of the annotation schema works.
ann_file = 'data/panoptic.pkl'
split = dict(train='train', test='val')
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    batch_size=24,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='MotionDataset', ann_file=ann_file, split='${split.train}', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=24,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='mofm.motion_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MotionDataset', ann_file=ann_file, split='${split.test}', pipeline=val_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='TokenizerMetric', vocab_size='${model.vocab_size}')
test_evaluator = val_evaluator
auto_scale_lr = dict(enable=False, base_batch_size=24)
