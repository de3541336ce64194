# 3D pose on Human3.6M: fine-tuning of pretrain_dstformer.py. Paper: 37.5 mm, released model: 37.2
# mm.
_base_ = 'pose3d_h36m_scratch.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/motionbert/pretrain_dstformer/epoch_90.pth',
            prefix='backbone.')))
train_cfg = dict(max_epochs=60)
