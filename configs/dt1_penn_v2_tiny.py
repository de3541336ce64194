# dt1_penn_tiny.py on the keypoint-aligned features of pretrain_v2_tiny.py; tests average a clip
# and its mirror image.
_base_ = ['dt1_penn_tiny.py', '_base_/datasets/mirrored.py']
grid = dict(segments=2)
model = dict(
    backbone=dict(
        segments='${grid.segments}',
        align=dict(blocks=(2, 4), parts=4),
        init_cfg=dict(checkpoint='work_dirs/mofm/pretrain_v2_tiny/epoch_75.pth')),
    # joints, parts, blocks, width
    cls_head=dict(in_channels=17 * 4 * 2 * 128, probe_norm=True))
val_dataloader = dict(dataset=dict(pipeline=_base_.mirrored_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=3e-4))
