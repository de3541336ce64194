# A mixture of data sets for tokenizer and pre-training: files and weights.
# Add your own poses as one more line; no labels are needed. See docs/sources.md for the files.
corpus = [
    dict(type='MotionDataset', ann_file='data/penn_action.pkl', split='${split.train}'),
    # views 1 and 2
    dict(type='MotionDataset', ann_file='data/nw_ucla.pkl', split='${split.train}'),
    dict(type='MotionDataset', ann_file='data/bandai_namco.pkl'),
]
corpus_weights = [2, 1, 2]
corpus_sampler = dict(type='MixtureSampler', weights=corpus_weights)
corpus_dataset = dict(
    type='ConcatDataset',
    ignore_keys=['classes'],
    datasets=[dict(**part, pipeline='${train_pipeline}') for part in corpus])
