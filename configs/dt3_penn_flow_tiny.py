# dt3_penn_split1_tiny.py by a density of keypoints, a small normalizing flow, instead of a jigsaw.
_base_ = 'dt3_penn_split1_tiny.py'
model = dict(
    _delete_=True,
    type='FlowDetector',
    num_frames='${grid.num_frames}',
    steps=6,
    hidden=64,
    noise=0.05,
    data_preprocessor=_base_.model.data_preprocessor)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_epochs=80)
