# Toyota Smarthome Untrimmed, cross-view.
_base_ = 'localize_tsu_cs.py'
data = dict(ann_file='data/tsu_cv.arrow')
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
