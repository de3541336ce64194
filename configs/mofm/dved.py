# dVED with the objective that works (docs/tokenizer.md); size, data and schedule of the paper.
# Fit the guide first: python tools/train.py configs/mofm/kmeans.py
_base_ = 'dved_paper.py'
guide = dict(
    type='KMeansTokenizer',
    num_frames=48,
    canvas=72,
    patch=4,
    vocab_size=8192,
    trace_weight=1.,
    init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mofm/kmeans/epoch_1.pth'))
model = dict(
    hard=True,
    noise=0.25,
    loss=dict(
        _delete_=True, type='GuidedDVEDLoss', guide=guide, rec_weight=48 * 4**2, foreground=2.))
custom_hooks = [
    dict(type='CheckpointGuardHook'), dict(type='PreemptionHook'),
    dict(type='AnnealHook', attribute='criterion.forcing', start=1., end=0., iters=5000)
]
