# Zero-shot on Penn Action after stage 2 at full size, all 15 classes: a test, nothing is trained.
# Paper: 69.5 top-1, with videos 80.9 (_visual). Texts with the encoder of stage 2:
# projects/tmor/tools/text_features.py penn_action data/penn_text.npz
_base_ = 'action_penn.py'
model = dict(
    cls_head=dict(
        _delete_=True,
        type='ZeroShotHead',
        class_table='data/penn_text.npz',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2/epoch_50.pth',
            prefix='heads.')))
val_evaluator = dict(_delete_=True, type='ZeroShotAccuracy')
test_evaluator = val_evaluator
train_dataloader = train_cfg = optim_wrapper = param_scheduler = None
