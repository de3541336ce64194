# DT3, CHAD: the recipe of dt3_sht.py. Published: STG-NF 60.60 AUC (SPARTA, 2024).
_base_ = 'dt3_sht.py'
ann_file = 'data/chad.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file))
test_dataloader = val_dataloader
val_evaluator = dict(gt=dict(_delete_=True, type='chad', path='data/CHAD/CHAD_Meta'))
test_evaluator = val_evaluator
