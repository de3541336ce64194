# DT3, HR-ShanghaiTech: only human-related anomalies. Paper: 77.26 AUC.
_base_ = 'dt3_sht.py'
val_evaluator = dict(clips_left_out='hr_shanghaitech')
test_evaluator = val_evaluator
