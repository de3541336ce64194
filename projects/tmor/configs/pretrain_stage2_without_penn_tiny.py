# Stage 2 as in the paper, without clips or texts of the data set of the zero-shot test: NW-UCLA
# and UTKinect, 20 classes, 16 of them distinct. Texts: projects/tmor/tools/text_features.py
# --annotations, see ../README.md.
_base_ = 'pretrain_stage2_tiny.py'
stage1 = dict(checkpoint='work_dirs/tmor/pretrain_stage1_without_penn_tiny/epoch_12.pth')
model = dict(
    backbone=dict(init_cfg=stage1),
    heads=dict(motion=dict(init_cfg=stage1)),
    tables=dict(text='data/transfer_txt.npz'))
ucla = _base_.train_dataloader.dataset.datasets[1]
train_dataloader = dict(
    sampler=dict(weights=[4, 1]),
    dataset=dict(
        datasets=[ucla, dict(ucla, ann_file='data/utkinect.pkl', split='${split.train}')]))
