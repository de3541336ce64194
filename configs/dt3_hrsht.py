# DT3, HR-ShanghaiTech: only anomalies of people count. Paper: 77.26 AUC.
_base_ = 'dt3_sht.py'
val_evaluator = dict(clips_left_out='hr_shanghaitech')
test_evaluator = val_evaluator
