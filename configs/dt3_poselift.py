# DT3, PoseLift: the recipe of dt3_sht.py. Published: STG-NF 67.46, TSGAD 63.35, GEPC 60.61 AUC.
_base_ = 'dt3_sht.py'
ann_file = 'data/poselift.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file))
test_dataloader = val_dataloader
val_evaluator = dict(gt=dict(_delete_=True, type='poselift', path='data/PoseLift/Pickle_files'))
test_evaluator = val_evaluator
