# ViT-Base on thermal cubes, 87.7 M parameters (MoFM, Sec. 4.3), predicting the tokens of
# dved_base.py.
_base_ = 'dved_base.py'
model = dict(
    _delete_=True,
    type='MotionPretrainer',
    backbone=dict(
        type='MoFMBackbone',
        num_joints=17,
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        embed_dims=768,
        depth=12,
        num_heads=12,
        mlp_ratio=4,
        embed=dict(type='ConvCubeEmbed'),
        max_tokens=384),
    tokenizer=dict(
        _base_.model,
        data_preprocessor=None,
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mofm/dved/epoch_20.pth')),
    head=dict(
        type='MaskedTokenHead',
        vocab_size='${model.tokenizer.vocab_size}',
        in_channels='${model.backbone.embed_dims}'),
    data_preprocessor=_base_.model.data_preprocessor)
