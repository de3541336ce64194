# localize_utkinect_mofm_tiny.py on the keypoint-aligned features of pretrain_v2_tiny.py with
# their time axis: each frame of a window has a prediction.
_base_ = 'localize_utkinect_mofm_tiny.py'
grid = dict(segments=2)
model = dict(
    backbone=dict(
        segments='${grid.segments}',
        align=dict(blocks=(2, 4), parts=16),
        init_cfg=dict(checkpoint='work_dirs/mofm/pretrain_v2_tiny/epoch_75.pth')),
    head=dict(in_channels=17 * 2 * 128))  # joints, blocks, width
