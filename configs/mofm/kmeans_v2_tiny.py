# kmeans_corpus_tiny.py for the segments of a clip: the tokenizer of pretrain_v2_tiny.py.
_base_ = 'kmeans_corpus_tiny.py'
grid = dict(segments=2)
model = dict(segments='${grid.segments}')
