# Stage 1 with UNIK of full width on the motion corpus, which has no videos: L_mm only. An epoch is
# a part of the data. Clustering starts late, as clusters of untrained features mix actions.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/contrast.py',
    '_base_/datasets/motion_pairs_tiny.py', '_base_/schedules/sgd_cosine.py'
]
custom_imports = dict(imports=['projects.tmor'])
# Keys are those of the batch: in one process, the statistics of batch norm, which query and key
# share, would distinguish them from a queue.
model = dict(backbone=dict(num_persons=1), momentum=None, queue_size=0)
custom_hooks = [*_base_.custom_hooks, dict(_base_.cluster_hook, warmup_epochs=8)]
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05, fused=True))
schedule = dict(warmup=1)
train_cfg = dict(max_epochs=12, val_interval='${train_cfg.max_epochs}')
