# pretrainer_base.py for 2 cores: 4 blocks of width 128; only occupied cubes attend.
_base_ = 'pretrainer_base.py'
model = dict(
    backbone=dict(
        embed_dims=128,
        depth=4,
        num_heads=4,
        embed=dict(type='LinearCubeEmbed'),
        max_tokens=96,
        tokens='occupied'),
    tokenizer=dict(
        vocab_size=512,
        hidden=64,
        init_cfg=dict(checkpoint='work_dirs/mofm/dved_teacher_tiny/epoch_16.pth')))
