# dt1_jhmdb_tiny.py with the 14 classes whose names are one word, those in the files of DD-Net.
_base_ = 'dt1_jhmdb_tiny.py'
data = dict(classes=[1, 2, 4, 5, 7, 8, 9, 10, 11, 15, 16, 18, 19, 20])
model = dict(cls_head=dict(num_classes=14))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
