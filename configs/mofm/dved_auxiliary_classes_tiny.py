# dved_teacher_tiny.py without the novel classes of the one-shot protocol on Penn Action.
_base_ = 'dved_teacher_tiny.py'
model = dict(
    loss=dict(guide=dict(init_cfg=dict(
        checkpoint='work_dirs/mofm/kmeans_auxiliary_classes_tiny/epoch_1.pth'))))
train_dataloader = dict(dataset=dict(classes=[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]))
