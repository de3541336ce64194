# DT3, ShanghaiTech: token jigsaw with the recipe of the paper, 1 epoch, batch 16, Adam, one cycle
# 1e-8 to 6e-4 and back. Paper: 76.56 AUC.
# As in the paper, with empty pieces: --cfg-options model.head.ignore_empty=False
_base_ = [
    '_base_/default_runtime.py', '_base_/grids/base.py', '_base_/models/jigsaw_base.py',
    '_base_/datasets/tracks.py', '_base_/schedules/adam_onecycle.py'
]
ann_file = 'data/shanghaitech.pkl'
train_dataloader = dict(dataset=dict(ann_file=ann_file, split='train'))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split='test'))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FrameAUC',
    gt=dict(type='shanghaitech', path='data/ShanghaiTech/gt/test_frame_mask'))
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=6e-4, weight_decay=6e-4))
param_scheduler = dict(div_factor=6e-4 / 1e-8, final_div_factor=1)
