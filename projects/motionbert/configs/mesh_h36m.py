# Meshes, Human3.6M: fine-tuning of pretrain_dstformer.py (values of the released config).
_base_ = '../../../configs/_base_/default_runtime.py'
custom_imports = dict(imports=['projects.motionbert'])

model = dict(
    type='MeshRecoverer',
    backbone=dict(
        type='DSTformerBackbone',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert/pretrain_dstformer/epoch_90.pth',
            prefix='backbone.')),
    head=dict(
        type='SMPLHead', mean_params='data/smpl/smpl_mean_params.npz', hidden_dims=1024,
        dropout=0.1),
    body_model=dict(
        type='SMPL', model_path='data/smpl/SMPL_NEUTRAL.pkl',
        joint_regressor='data/smpl/J_regressor_h36m_correct.npy'),
    loss=dict(type='MeshLoss', joints=0.5, velocity=10., pose=1000., shape=1., norm=20.),
    data_preprocessor=dict(type='MeshDataPreprocessor'))

train_pipeline = [
    dict(type='NormalizeByWidth'),
    dict(type='MeshFlip'),
    dict(type='PackMeshInputs')
]
val_pipeline = [dict(type='NormalizeByWidth'), dict(type='PackMeshInputs')]
train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='mofm.motion_collate'),
    dataset=dict(
        type='MeshDataset', ann_file='data/mesh/mesh_det_h36m.pkl', split='train', clip_len=16,
        stride=8, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='mofm.motion_collate'),
    dataset=dict(
        type='MeshDataset', ann_file='data/mesh/mesh_det_h36m.pkl', split='test', clip_len=16,
        stride=16, test_mode=True, pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='MeshAccuracy')
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01, fused=True),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = dict(type='ExponentialLR', gamma=0.98)
train_cfg = dict(type='ResumableTrainLoop', max_epochs=60, val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
