# Masked pre-training of the ViT-Base on motion tokens (MoFM, Sec. 3.3): 20 epochs, batch 32.
# The batch size is the total of the paper's six GPUs: with GPUS processes set
# train_dataloader.batch_size to 32 / GPUS, or scale as you like.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/models/dved_base.py',
    '../_base_/models/mofm_base.py', '../_base_/datasets/masked_motion.py',
    '../_base_/schedules/adamw_cosine.py'
]
model = dict(
    type='MotionPretrainer',
    backbone=_base_.backbone,
    tokenizer=dict(
        **_base_.tokenizer,
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mofm/dved/epoch_20.pth')),
    head=dict(type='MaskedTokenHead', vocab_size=8192, in_channels=768),
    data_preprocessor=_base_.data_preprocessor)
optim_wrapper = dict(optimizer=dict(lr=1.5e-4, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-8 / 1.5e-4, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-8, begin=1, end=20, convert_to_iter_based=True)
]
val_evaluator = dict(type='MaskedTokenMetric')
test_evaluator = val_evaluator
