# DT4, CHAD, supervised: the recipe of dt4_ubnormal.py, the second published split.
_base_ = 'dt4_ubnormal.py'
ann_file = 'data/chad.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split='supervised_test'))
test_dataloader = val_dataloader
val_evaluator = dict(
    gt=dict(_delete_=True, type='chad', path='data/CHAD/CHAD_Meta', split='supervised_test'))
test_evaluator = val_evaluator
