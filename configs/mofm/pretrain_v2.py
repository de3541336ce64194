# pretrain_corpus.py with the contrast and the keypoint-aligned features of pretrain_v2_tiny.py, in
# one segment and without pairs of cameras; not trained here.
_base_ = ['pretrain_corpus.py']
model = dict(
    backbone=dict(align=dict(parts=4)),
    contrast=dict(type='ContrastHead', in_channels=17 * 4 * 768, queue_size=16384))
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
                type='KeypointMaskGenerator', min_masked=16, max_masked=75, unit='points',
                num_frames='${grid.num_frames}', canvas='${grid.canvas}',
                patch='${grid.patch}')
        ],
        key=view),
    dict(type='PackMotionInputs')
]
