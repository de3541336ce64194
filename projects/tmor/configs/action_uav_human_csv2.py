# Actions of UAV-Human, cross-subject 2: fine-tuning. Paper: 70.8 top-1.
_base_ = 'action_uav_human_csv1.py'
train_dataloader = dict(dataset=dict(split='csv2_train'))
val_dataloader = dict(dataset=dict(split='csv2_test'))
test_dataloader = val_dataloader
