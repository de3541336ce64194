# pretrain_tiny.py without the novel classes of the one-shot protocol on Penn Action.
_base_ = 'pretrain_tiny.py'
model = dict(
    tokenizer=dict(
        init_cfg=dict(checkpoint='work_dirs/mofm/dved_auxiliary_classes_tiny/epoch_16.pth')))
train_dataloader = dict(dataset=dict(classes=[1, 2, 4, 5, 7, 8, 10, 11, 13, 14]))
