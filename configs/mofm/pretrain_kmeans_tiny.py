# The same pre-training on k-means tokens: what the learned tokens are held against.
_base_ = 'pretrain_tiny.py'
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        num_frames=16,
        canvas=36,
        patch=4,
        vocab_size=512,
        trace_weight=0.5,
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/kmeans_tiny/epoch_1.pth')))
