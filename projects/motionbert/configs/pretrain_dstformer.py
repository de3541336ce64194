# Pre-training by lifting (MotionBERT, Sec. 3.3 and 4.2; values of the released config): 30 epochs
# of 3D data, then 60 of 2D and 3D data.
_base_ = [
    '../../../configs/_base_/default_runtime.py', '_base_/models/lifter.py',
    '_base_/datasets/pretrain_lifting.py', '_base_/schedules/lifting.py'
]
custom_imports = dict(imports=['projects.motionbert'])
model = dict(
    data_preprocessor=dict(noise=dict(num_keyframes=27), joint_mask=0.05, frame_mask=0.1))
train_cfg = dict(
    type='CurriculumTrainLoop', max_epochs=90, extra_begin=30,
    extra_dataloaders=_base_.extra_dataloaders)
