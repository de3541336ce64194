# motion.py for tiny models: Penn Action.
_base_ = 'motion.py'
ann_file = 'data/penn_action.pkl'
split = dict(test='test')
train_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}'),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseAffine', scale=(0.8, 1.1), shift=0.06, rotation=15),
    dict(type='PoseFlip', prob=0.5),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    pin_memory=False,
    dataset=dict(ann_file=ann_file, pipeline=train_pipeline))
val_dataloader = dict(batch_size=32, num_workers=1, dataset=dict(ann_file=ann_file))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=32)
