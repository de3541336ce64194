# DT1, NTU-120 X-Sub: 20 epochs. Paper: 78.0 top-1.
_base_ = 'dt1_ntu60.py'
data = dict(ann_file='data/ntu120_hrnet.pkl', num_classes=120, class_names='ntu120')
model = dict(cls_head=dict(num_classes=120))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=20)
