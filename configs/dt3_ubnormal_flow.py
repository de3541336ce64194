# dt3_sht_flow.py on UBnormal without labels, with windows of 16 frames. Published: STG-NF
# 71.8 AUC; MoFM with labels (dt4_ubnormal.py) 69.55.
_base_ = 'dt3_sht_flow.py'
grid = dict(num_frames=16)
ann_file = 'data/ubnormal.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file, min_len=17))
val_dataloader = dict(dataset=dict(ann_file=ann_file, min_len=17))
test_dataloader = val_dataloader
val_evaluator = dict(gt=dict(_delete_=True, type='ubnormal', path='data/UBnormal/gt'))
test_evaluator = val_evaluator
