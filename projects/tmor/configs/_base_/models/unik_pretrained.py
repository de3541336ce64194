# unik.py after stage 2 of the pre-training. For released weights of UNIK, converted by
# tools/convert_checkpoint.py: --cfg-options model.backbone.init_cfg.checkpoint=...
_base_ = 'unik.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2/epoch_50.pth',
            prefix='backbone.')))
