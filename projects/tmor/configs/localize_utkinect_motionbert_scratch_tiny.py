# The same model, data and schedule without pre-training.
_base_ = 'localize_utkinect_motionbert_tiny.py'
model = dict(backbone=dict(init_cfg=None))
