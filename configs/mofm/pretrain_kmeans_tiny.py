# pretrain_tiny.py on k-means tokens, the baseline of learned tokens.
_base_ = 'pretrain_tiny.py'
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        vocab_size=512,
        trace_weight=1.,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/mofm/kmeans_teacher_tiny/epoch_1.pth')))
