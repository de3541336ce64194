# PKU-MMD, cross-view.
_base_ = 'localize_pku_cs.py'
train_dataloader = dict(dataset=dict(split='cv_train'))
val_dataloader = dict(dataset=dict(split='cv_test'))
test_dataloader = val_dataloader
