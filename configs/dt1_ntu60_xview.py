# DT1, NTU-60 X-View. Paper: 94.7 top-1.
_base_ = 'dt1_ntu60.py'
train_dataloader = dict(dataset=dict(split='xview_train'))
val_dataloader = dict(dataset=dict(split='xview_val'))
test_dataloader = val_dataloader
