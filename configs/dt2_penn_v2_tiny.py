# dt2_penn_tiny.py on the standardized keypoint-aligned features of pretrain_v2_tiny.py, without a
# projection; tests average a clip and its mirror image.
_base_ = 'dt2_penn_tiny.py'
grid = dict(segments=2)
model = dict(
    backbone=dict(
        segments='${grid.segments}',
        align=dict(blocks=(2, 4), parts=4),
        init_cfg=dict(
            checkpoint='work_dirs/mofm/pretrain_v2_auxiliary_classes_tiny/epoch_75.pth')),
    # joints, parts, blocks, width
    cls_head=dict(in_channels=17 * 4 * 2 * 128, out_channels=None, probe_norm=True))
val_pipeline = [
    dict(type='UniformSampleFrames', clip_len='${grid.num_frames}', test_mode=True),
    dict(type='PoseCompact', padding=0.25),
    dict(type='PoseMirror'),
    dict(
        type='ThermalCubeFormat', num_frames='${grid.num_frames}', canvas='${grid.canvas}',
        patch='${grid.patch}'),
    dict(type='PackMotionInputs')
]
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
