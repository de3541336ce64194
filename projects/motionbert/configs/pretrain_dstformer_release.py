# pretrain_dstformer.py with the 2D data as in the release: cropped at random and clipped; of
# PoseTrack the first 30 frames of tracks with 306 labeled joints and a pelvis in every frame.
_base_ = 'pretrain_dstformer.py'
crop = dict(type='CropScale', scale_range=(0.25, 1))
posetrack, instavariety = _base_.extra_dataloaders
labeled = dict(type='LabeledTrackDataset', max_missing=100000)
train_cfg = dict(
    extra_dataloaders=[
        dict(
            posetrack,
            dataset=dict(
                posetrack.dataset, **labeled, stride=100000, min_joints=306 / 30,
                pipeline=[crop, dict(type='DeriveTrunk'), *_base_.posetrack_pipeline[1:]])),
        dict(
            instavariety,
            dataset=dict(
                instavariety.dataset, **labeled, pelvis_frames=1,
                pipeline=[crop, *_base_.instavariety_pipeline[1:]]))
    ])
