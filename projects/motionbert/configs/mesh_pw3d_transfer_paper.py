# mesh_pw3d_paper.py without the training set of 3DPW: Human3.6M and images of COCO in every epoch.
_base_ = 'mesh_pw3d_paper.py'
train_dataloader = dict(_delete_=True, **_base_.h36m_dataloader)
train_cfg = dict(extra_begin=0, extra_dataloaders=[_base_.coco_dataloader])
