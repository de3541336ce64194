# pretrainer_tiny.py on k-means tokens of the segments of a clip, with keypoint-aligned features
# that are contrasted. Configs set grid.segments.
_base_ = 'pretrainer_tiny.py'
model = dict(
    backbone=dict(segments='${grid.segments}', align=dict(parts=4)),
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        segments='${grid.segments}',
        vocab_size=512,
        trace_weight=1.,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/mofm/kmeans_v2_tiny/epoch_1.pth')),
    contrast=dict(type='ContrastHead', in_channels=17 * 4 * 128))  # joints, parts, width
