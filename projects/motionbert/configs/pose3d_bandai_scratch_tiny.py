# 3D pose at tiny size from scratch: Bandai-Namco's recordings, seen by virtual cameras. An epoch
# covers a part of the data.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/lifter_tiny.py',
    '_base_/datasets/pose3d_tiny.py', '_base_/schedules/lifting_tiny.py'
]
custom_imports = dict(imports=['projects.motionbert'])
train_dataloader = dict(
    sampler=dict(_delete_=True, type='MixtureSampler', weights=[1], num_samples=1024),
    dataset=dict(
        _delete_=True, type='ConcatDataset', datasets=[_base_.train_dataloader.dataset]))
train_cfg = dict(max_epochs=48, val_interval=24)
