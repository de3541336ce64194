# KMeansTokenizer with 8192 tokens.
model = dict(
    type='KMeansTokenizer',
    num_frames='${grid.num_frames}',
    canvas='${grid.canvas}',
    patch='${grid.patch}',
    vocab_size=8192,
    trace_weight=1.,
    data_preprocessor=dict(
        type='MotionDataPreprocessor',
        num_frames='${grid.num_frames}',
        canvas='${grid.canvas}',
        patch='${grid.patch}',
        sigma='${grid.sigma}'))
