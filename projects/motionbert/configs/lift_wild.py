# Lifting of any video by tools/demo.py or MotionInferencer (docs/inference.md), with the
# checkpoint of pose3d_h36m_global_lite.py. The bounding box of a person becomes [-1, 1], the image
# with --cfg-options test_dataloader.dataset.pipeline.1.type=NormalizeByShortSide.
_base_ = 'pose3d_h36m_global_lite.py'
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MotionDataset',
        to_layout='h36m17',
        pipeline=[
            dict(type='FillJoints'),
            dict(type='CropScale'),
            dict(type='ZeroMissing'),
            dict(type='PackLiftingInputs')
        ]))
