# Frozen keypoint-aligned features of recipe v2 for NearestNeighborDetector, as `aligned`. Configs
# set grid.segments and the checkpoint.
aligned = dict(
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
        frozen=True),
    in_channels=17 * 4 * 2 * 128,  # joints, parts, blocks, width
    norm=2)
