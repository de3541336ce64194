# Zero-shot on Penn Action as in the paper: all 15 classes by their texts, after stage 2 without
# Penn Action. A test, nothing is trained.
_base_ = 'zero_shot_penn.py'
stage2 = 'work_dirs/tmor/pretrain_stage2_without_penn_tiny/epoch_12.pth'
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=stage2)),
    cls_head=dict(
        num_seen=0, init_cfg=dict(type='Pretrained', checkpoint=stage2, prefix='heads.')))
val_evaluator = dict(num_seen=0)
test_evaluator = val_evaluator
train_dataloader = train_cfg = optim_wrapper = param_scheduler = None
