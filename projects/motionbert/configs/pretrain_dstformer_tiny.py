# pretrain_dstformer.py at tiny size: Bandai-Namco's dataset 2, then also 2D of Penn Action. An
# epoch covers a part of the data.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/lifter_tiny.py',
    '_base_/datasets/pretrain_lifting_tiny.py', '_base_/schedules/lifting_tiny.py'
]
custom_imports = dict(imports=['projects.motionbert'])
model = dict(
    data_preprocessor=dict(noise=dict(num_keyframes=2), joint_mask=0.05, frame_mask=0.1))
penn = _base_.extra_dataloaders[0]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='MixtureSampler', weights=[1], num_samples=1024),
    dataset=dict(
        _delete_=True, type='ConcatDataset', datasets=[_base_.train_dataloader.dataset]))
train_cfg = dict(
    type='CurriculumTrainLoop', max_epochs=60, extra_begin=20, val_interval=20,
    extra_dataloaders=[
        dict(
            penn, sampler=dict(type='MixtureSampler', weights=[1], num_samples=256),
            dataset=dict(type='ConcatDataset', datasets=[penn.dataset]))
    ])
