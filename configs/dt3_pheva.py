# DT3, PHEVA: the recipe of dt3_sht.py. Published: MPED-RNN 76.05, TSGAD 68.00, GEPC 62.25,
# STG-NF 57.57 AUC.
_base_ = 'dt3_sht.py'
ann_file = 'data/pheva.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file))
test_dataloader = val_dataloader
val_evaluator = dict(
    gt=dict(_delete_=True, type='pheva', path='data/PHEVA', gt='data/PHEVA/GT.zip'))
test_evaluator = val_evaluator
