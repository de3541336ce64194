# DT1, NTU-120 X-Set. Paper: 83.7 top-1.
_base_ = 'dt1_ntu120_xsub.py'
train_dataloader = dict(dataset=dict(split='xset_train'))
val_dataloader = dict(dataset=dict(split='xset_val'))
test_dataloader = val_dataloader
