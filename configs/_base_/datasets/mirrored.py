# Evenly sampled clips and their mirror images, for tests and galleries: a config uses
# mirrored_pipeline.
mirrored_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseMirror'),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
