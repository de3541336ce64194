# dt3_penn_neighbors_tiny.py on the keypoint-aligned features of pretrain_v2_without_penn_tiny.py,
# whose pre-training has seen other data sets only.
_base_ = ['dt3_penn_neighbors_tiny.py', '_base_/models/aligned_tiny.py']
grid = dict(segments=2)
model = dict(
    _base_.aligned,
    backbone=dict(
        _base_.aligned.backbone,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mofm/pretrain_v2_without_penn_tiny/epoch_75.pth',
            prefix='backbone.')))
