# The backbone of recognizer_base.py with a token jigsaw.
_base_ = 'recognizer_base.py'
model = dict(
    _delete_=True,
    type='JigsawDetector',
    backbone=_base_.model.backbone,
    head=dict(
        type='JigsawHead',
        in_channels='${model.backbone.embed_dims}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        grid=(6, 2),
        dropout=0.4),
    data_preprocessor=_base_.model.data_preprocessor)
