# dt3_penn_split1_tiny.py by the surprise of a pre-training instead of a jigsaw: tokens and
# pre-training of pretrain_kmeans_tiny.py, on the normal clips only, and nothing after them.
_base_ = 'mofm/pretrain_kmeans_tiny.py'
normal = [0, 3, 6, 9, 12]  # baseball_pitch, bowl, jump_rope, pushup, strum_guitar
model = dict(
    type='SurpriseDetector',
    tokenizer=dict(init_cfg=dict(checkpoint='work_dirs/mofm/kmeans_penn_split1/epoch_1.pth')))
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
train_dataloader = dict(dataset=dict(classes='${normal}'))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipAUC', normal_labels='${normal}')
test_evaluator = val_evaluator
train_cfg = dict(val_interval='${train_cfg.max_epochs}')
