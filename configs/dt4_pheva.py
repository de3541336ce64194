# DT4, PHEVA, supervised: the recipe of dt4_ubnormal.py, a derived split, three of five test
# videos train.
_base_ = 'dt4_ubnormal.py'
ann_file = 'data/pheva.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split='supervised_test'))
test_dataloader = val_dataloader
val_evaluator = dict(
    gt=dict(_delete_=True, type='pheva', path='data/PHEVA', gt='data/PHEVA/GT.zip',
            split='supervised_test'))
test_evaluator = val_evaluator
