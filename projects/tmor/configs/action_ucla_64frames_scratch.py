# action_penn_64frames_scratch.py on NW-UCLA, views 1 and 2 train, 3 tests. An epoch has four
# virtual views of each recording, so that 4 epochs are as many steps as 12 on Penn Action.
_base_ = 'action_penn_64frames_scratch.py'
data = dict(ann_file='data/nw_ucla.pkl', num_classes=10)
model = dict(cls_head=dict(num_classes=10))
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=4, val_interval='${train_cfg.max_epochs}')
schedule = dict(warmup=0.3)
