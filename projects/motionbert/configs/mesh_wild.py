# Meshes from any video by tools/demo.py or MotionInferencer (docs/inference.md), with the
# checkpoint of mesh_pw3d.py. The bounding box of a person in a window becomes [-1, 1].
_base_ = 'mesh_pw3d.py'
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='TrackWindowDataset',
        to_layout='h36m17',
        seg_len=16,
        pipeline=[
            dict(type='FillJoints'),
            dict(type='CropScale'),
            dict(type='ZeroMissing'),
            dict(type='PackLiftingInputs')
        ]))
