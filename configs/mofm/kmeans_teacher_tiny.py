# k-means whose tokens encode which joint moves: the guide and baseline of the teacher.
_base_ = 'kmeans_tiny.py'
model = dict(trace_weight=1.)
