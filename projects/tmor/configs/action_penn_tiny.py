# Actions of Penn Action in 16 frames: data, batch size and epochs are those of
# configs/dt1_penn_tiny.py.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/unik_tiny.py',
    '_base_/datasets/skeleton_16.py', '_base_/schedules/sgd_cosine.py'
]
custom_imports = dict(imports=['projects.tmor'])
split = dict(train='train', test='test')
data = dict(ann_file='data/penn_action.pkl', num_classes=15)
model = dict(cls_head=dict(num_classes=15, label_smooth=0.1))
train_dataloader = dict(dataset=dict(**data, split='${split.train}'))
val_dataloader = dict(dataset=dict(**data, split='${split.test}'))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.03, weight_decay=5e-4))
train_cfg = dict(max_epochs=16, val_interval='${train_cfg.max_epochs}')
schedule = dict(warmup=1, eta_min=1e-5)
