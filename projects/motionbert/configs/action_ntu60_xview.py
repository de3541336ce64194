# Actions of NTU-60, X-View. Paper: 97.2 top-1.
_base_ = 'action_ntu60_xsub.py'
train_dataloader = dict(dataset=dict(split='xview_train'))
val_dataloader = dict(dataset=dict(split='xview_val'))
test_dataloader = val_dataloader
