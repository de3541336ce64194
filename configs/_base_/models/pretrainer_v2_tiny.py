# pretrainer_tiny.py on k-means tokens, with keypoint-aligned features that are contrasted.
_base_ = 'pretrainer_tiny.py'
model = dict(
    backbone=dict(align=dict(parts=4)),
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        vocab_size=512,
        trace_weight=1.,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/mofm/kmeans_corpus_tiny/epoch_1.pth')),
    contrast=dict(type='ContrastHead', in_channels=17 * 4 * 128))  # joints, parts, width
