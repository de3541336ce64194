# zero_shot_penn_mofm_tiny.py on the keypoint-aligned features of pretrain_v2_tiny.py.
_base_ = 'zero_shot_penn_mofm_tiny.py'
grid = dict(segments=2)
model = dict(
    backbone=dict(
        segments='${grid.segments}',
        align=dict(blocks=(2, 4), parts=4),
        init_cfg=dict(
            checkpoint='work_dirs/mofm/pretrain_v2_auxiliary_classes_tiny/epoch_75.pth')),
    # joints, parts, blocks, width
    cls_head=dict(in_channels=17 * 4 * 2 * 128, hidden_channels=256))
