# k-means whose tokens say which joint moves: the guide and the baseline for the pre-training.
_base_ = 'kmeans_tiny.py'
model = dict(trace_weight=1.)
