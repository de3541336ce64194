# mesh_pw3d.py with the settings of mesh_h36m_paper.py: Human3.6M, images of COCO and 3DPW in every
# epoch. Without pre-training: --cfg-options model.backbone.init_cfg=None
_base_ = 'mesh_h36m_paper.py'
pw3d = dict(ann_file='data/mesh/mesh_det_pw3d.pkl', img_shape=(1920, 1920))
h36m_dataloader = _base_.train_dataloader
coco_dataloader = dict(
    h36m_dataloader,
    batch_size=512,
    dataset=dict(
        h36m_dataloader.dataset, ann_file='data/mesh/mesh_det_coco.pkl', img_shape=(640, 640),
        clip_len=1, stride=1))
train_dataloader = dict(dataset=pw3d)
val_dataloader = dict(dataset=pw3d)
test_dataloader = val_dataloader
train_cfg = dict(
    type='CurriculumTrainLoop', extra_begin=0,
    extra_dataloaders=[h36m_dataloader, coco_dataloader])
