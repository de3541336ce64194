# masked_motion_tiny.py with two views of a clip, of which the first is masked, on the mixture of
# data sets; where there are virtual cameras, the views are of two.
_base_ = ['masked_motion_tiny.py', 'motion_corpus.py']
view = [
    dict(type='TemporalCrop', ratio=(0.7, 1.0)),
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25),
    dict(
        type='PoseAffine', scale=(0.8, 1.1), shift=0.06, rotation=15, stretch=0.3, shear=0.3),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}')
]
train_pipeline = [
    dict(
        type='TwoViews',
        query=[
            *view,
            dict(
                type='KeypointMaskGenerator', min_masked=18, max_masked=40, unit='blocks',
                num_frames='${grid.num_frames}', canvas='${grid.canvas}',
                patch='${grid.patch}', segments='${grid.segments}')
        ],
        key=view),
    dict(type='PackMotionInputs')
]
corpus_dataset = dict(
    datasets=[
        dict(**part, pipeline=train_pipeline) for part in (
            dict(type='MotionDataset', ann_file='data/penn_action.pkl', split='${split.train}'),
            dict(type='CameraPairDataset', ann_file='data/nw_ucla.pkl', split='${split.train}'),
            dict(type='CameraPairDataset', ann_file='data/bandai_namco.pkl'))
    ])
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(
        type='KeypointMaskGenerator', min_masked=18, max_masked=40, unit='blocks',
        num_frames='${grid.num_frames}', canvas='${grid.canvas}', patch='${grid.patch}',
        segments='${grid.segments}'),
    dict(type='PackMotionInputs')
]
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.corpus_sampler, num_samples=1280),
    dataset=dict(_delete_=True, type='ConcatDataset', ignore_keys=['classes'],
                 datasets=corpus_dataset['datasets']))
