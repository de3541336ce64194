# kmeans_teacher_tiny.py without the novel classes of the one-shot protocol on Penn Action.
_base_ = 'kmeans_teacher_tiny.py'
train_dataloader = dict(dataset=dict(classes=[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]))
