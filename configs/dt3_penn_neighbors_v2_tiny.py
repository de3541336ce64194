# dt3_penn_neighbors_tiny.py on the keypoint-aligned features of pretrain_v2_without_penn_tiny.py,
# whose pre-training has seen other data sets only.
_base_ = 'dt3_penn_neighbors_tiny.py'
grid = dict(segments=2)
model = dict(
    backbone=dict(
        _delete_=True,
        type='MoFMBackbone',
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        segments='${grid.segments}',
        embed_dims=128,
        depth=4,
        num_heads=4,
        embed=dict(type='LinearCubeEmbed'),
        max_tokens=96,
        tokens='occupied',
        align=dict(blocks=(2, 4), parts=4),
        frozen=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_v2_without_penn_tiny/epoch_75.pth',
            prefix='backbone.')),
    in_channels=17 * 4 * 2 * 128,  # joints, parts, blocks, width
    norm=2)
