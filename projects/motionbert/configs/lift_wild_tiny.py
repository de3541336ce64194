# lift_wild.py with the checkpoint of pose3d_bandai_tiny.py.
_base_ = 'pose3d_bandai_tiny.py'
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
