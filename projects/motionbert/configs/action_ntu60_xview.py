# Actions of NTU-60, X-View. Paper: 97.1 top-1; README of the release: 97.2.
_base_ = 'action_ntu60_xsub.py'
train_dataloader = dict(dataset=dict(split='xview_train'))
val_dataloader = dict(dataset=dict(split='xview_val'))
test_dataloader = val_dataloader
