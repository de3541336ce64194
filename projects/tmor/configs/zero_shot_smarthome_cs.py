# Zero-shot on Toyota Smarthome, cross-subject, after stage 2: a test, nothing is trained. Paper:
# top-1 14.5 with motions, 21.9 with videos (_visual). Class names as prompts, with the encoder of
# stage 2: projects/tmor/tools/text_features.py smarthome data/smarthome_text.npz
_base_ = 'action_smarthome_cs.py'
model = dict(
    cls_head=dict(
        _delete_=True,
        type='ZeroShotHead',
        class_table='data/smarthome_text.npz',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/tmor/pretrain_stage2/epoch_50.pth',
            prefix='heads.')))
val_evaluator = dict(_delete_=True, type='ZeroShotAccuracy')
test_evaluator = val_evaluator
train_dataloader = train_cfg = optim_wrapper = param_scheduler = None
